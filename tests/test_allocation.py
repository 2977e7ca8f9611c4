"""Runs and loops whose ranks are by spectra: ``method.allocation=marginal``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Result, record_of, run_in, small_bert
from stopped import check_resumed, ctrl_c, under
from torch import Tensor

import lada
from lada.methods.factorization_kd import FactorizationKdSettings
from lada.methods.groups import RatiosConfig
from lada.methods.hybrid import HybridSettings
from lada.methods.lada import LadaSettings
from lada.methods.parts import Parts
from lada.nn.families import FAMILIES
from lada.nn.statistics import gather
from lada.nn.surgery import inventory
from lada.ops.factorize import weighted_factors
from lada.ops.factorizers import whitened
from lada.run import spectra as run_spectra
from lada.training.modules import StudentModule
from tests.families import batch as batch_of
from tests.families import tiny as tiny_of

Cli = Callable[..., Result]
MARGINAL = "method.allocation=marginal"
WHITENED = ["method.factorizer=whitened", "method.examples=100"]


def file_of(folder: Path) -> Path:
    return run_in(folder) / "checkpoints" / run_spectra.FILE


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [*WHITENED, "method.score=activation", "method.whole=trimmed", "schedule.start=full"],
        [*WHITENED, "method.word_density=0.3", "method.word_weight=0.5"],
        ["method=factorization_kd"],
        ["method.lower_rank=refactorize", *WHITENED],
    ],
    ids=["lada", "pruned words", "factorization_kd", "refactorize"],
)
def test_stopped_and_resumed(
    words: list[str],
    train_py: Cli,
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It ends bit-equal, by the spectra that it began with: nothing computes them again."""
    args = [*tiny, *words, MARGINAL, "callbacks.progress=lines"]

    def elsewhere(*_: Any) -> None:
        raise AssertionError("spectra are computed again")

    def stopped() -> None:
        assert " of the word embeddings, " in caplog.text
        assert file_of(tmp_path / "cut").read_bytes() == file_of(tmp_path / "whole").read_bytes()
        monkeypatch.setattr(Parts, "spectra_of", elsewhere)

    check_resumed(train_py, args, tmp_path, stopped=stopped)
    record = record_of(tmp_path / "cut")
    assert record["reached"] == pytest.approx(5, rel=0.01)
    assert len(set(record["plan"]["ranks"].values())) > 3


def test_spectra_of_something_else_are_replaced(
    train_py: Cli, tiny: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    args = [*under(tmp_path / "one", tiny), MARGINAL]
    with ctrl_c(StudentModule, 14):
        assert train_py(*args).code == 130
    file = file_of(tmp_path / "one")
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    assert train_py(*args).code == 0
    assert "spectra.safetensors is corrupt and is made again" in caplog.text
    assert file.read_bytes() == whole
    found = run_spectra._read(file, {"content": "of another teacher"})
    assert found is None


def test_what_does_not_fit_is_told(train_py: Cli, tiny: list[str]) -> None:
    for words, told in (
        (["ratios=paper", "target=5x"], "ratios=paper: gives the word embeddings"),
        (["ratios=custom", "ratios.svd=2", "ratios.pruning=2"], "ratios=custom: gives the word"),
        (["method=pruning"], "method.allocation"),
        (["method=factorization", "method.word_density=0.5"], "method.word_density"),
    ):
        done = train_py(*tiny, *words, MARGINAL)
        assert done.code == 2 and told in done.err, done.err


def batch(seed: int) -> dict[str, Tensor]:
    ids = torch.randint(1, 40, (4, 8), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize("factorizer", ["svd", "whitened"])
def test_spectra_are_the_errors_of_the_factors(factorizer: str) -> None:
    model = small_bert()
    statistics = gather(model, map(batch, range(3)))
    found = Parts(factorizer, statistics=statistics).spectra_of(model)
    assert list(found) == [m.name for m in inventory(model).matrices]
    for name, spectrum in found.items():
        weight: Any = model.get_submodule(name).weight
        seen = statistics.of(name)
        if factorizer == "svd":
            expected = torch.linalg.svdvals(weight.double()).square()
        else:
            weights = whitened(seen)
            a, b = weighted_factors(weight, min(weight.shape), weights)
            a, b = weights.applied(a.double(), b.double())
            expected = torch.linalg.svdvals(a @ b.T)[: len(spectrum)].square()
        expected = expected / weight.double().square().mean()
        torch.testing.assert_close(spectrum, expected, rtol=1e-3, atol=1e-3 * float(spectrum[0]))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family(family: str) -> None:
    """The target is met by shares of each matrix once, shared layers too."""
    sizes = {"vocab_size": 400, "num_hidden_layers": 4, "hidden_size": 16, "intermediate_size": 32}
    teacher = tiny_of(family, **sizes)
    method = FactorizationKdSettings(allocation="marginal", factorizer="whitened")
    made = lada.prepare(
        teacher, target=2, steps=20, method=method, batches=[batch_of(teacher) for _ in range(2)]
    )
    assert made.plan.spectral
    assert list(made.plan.ranks) == [m.name for m in inventory(teacher).matrices]
    for step in range(20):
        made.before_step(step)
    assert made.finished and made.ratio == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("settings", [LadaSettings, HybridSettings, FactorizationKdSettings])
def test_in_any_loop(settings: type[LadaSettings]) -> None:
    torch.manual_seed(0)
    teacher = small_bert()
    made = lada.prepare(teacher, target=4, steps=20, method=settings(allocation="marginal"))
    plain = lada.prepare(teacher, target=4, steps=20, method=settings())
    assert made.plan.rounds[-1].ratio == pytest.approx(4, rel=0.01)
    assert made.plan.ranks != plain.plan.ranks
    assert "ranks" in made.state_dict() and "ranks" not in plain.state_dict()
    made.load_state_dict(made.state_dict())
    changed = made.state_dict()
    changed["ranks"] = {name: [1] * 8 for name in changed["ranks"]}
    with pytest.raises(lada.LadaError, match="compression: its state plans ranks"):
        made.load_state_dict(changed)


def test_word_embeddings_may_count_less() -> None:
    teacher = small_bert()
    found = {}
    for weight in (1.0, 0.1, 0.01):
        method = LadaSettings(allocation="marginal", word_density=0.5, word_weight=weight)
        plan = lada.prepare(teacher, target=4, steps=20, method=method).plan
        assert plan.rounds[-1].ratio == pytest.approx(4, rel=0.01)
        words, *encoder = plan.rounds[-1].shares
        found[weight] = words.kept, sum(share.kept for share in encoder)
    assert found[1.0][0] > found[0.1][0] > found[0.01][0]
    assert found[1.0][1] < found[0.1][1] < found[0.01][1]


def test_needs_examples_where_the_factorizer_does() -> None:
    method = LadaSettings(allocation="marginal", factorizer="whitened")
    with pytest.raises(lada.LadaError, match="looks at examples, and there are none"):
        lada.prepare(small_bert(), target=2, steps=20, method=method)
    with pytest.raises(lada.LadaError, match="ratios=paper: gives"):
        lada.prepare(
            small_bert(),
            target=5,
            method=LadaSettings(allocation="marginal"),
            ratios=RatiosConfig(rule="paper"),
        )


def test_a_target_in_megabytes(
    train_py: Cli, tiny: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The ratio is solved again for the ranks that the spectra make."""
    words = [word for word in tiny if not word.startswith(("target=", "callbacks="))]
    done = train_py(*under(tmp_path, [*words, MARGINAL, "target=bytes", "target.mb=0.06"]))
    assert done.code == 0, done.err
    record = record_of(tmp_path)
    told = [line for line in caplog.messages if "0.06 MB is expected at x" in line]
    ratios = [float(line.rpartition("x")[2]) for line in told]
    assert len(ratios) == 2 and ratios[0] != ratios[1] == record["target"]
    assert record["reached"] == pytest.approx(record["target"], rel=0.01)
    assert record["artifact"]["stored_bytes"] == pytest.approx(60_000, rel=0.15)
