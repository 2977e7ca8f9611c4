"""Students of xtc: layers of the teacher, all of whose matrices may have few bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Result, record_of, run_in
from stopped import check_resumed
from transformers import BertConfig, BertForSequenceClassification

import lada
from lada.artifact.expected import expected_bytes, ratio_for
from lada.errors import LadaError
from lada.methods import Context, find_method
from lada.methods.base import Method
from lada.methods.groups import ScheduleConfig
from lada.nn.compressed import compressed_layers, set_bits_
from lada.nn.factors import Factors
from lada.nn.pretrained import load_tokenizer
from lada.ops.plan import Plan, Share

Cli = Callable[..., Result]
WORDS = "bert.embeddings.word_embeddings"


@pytest.fixture(scope="module")
def dense() -> BertForSequenceClassification:
    """Six layers whose matrices are not tiny."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=6000, hidden_size=128, num_hidden_layers=6, num_attention_heads=4,
            intermediate_size=512, max_position_embeddings=256,
        )  # fmt: skip
        model = BertForSequenceClassification(config).eval()
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() == 1:  # equal numbers would take no space
                    p.normal_()
        return model


def made(target: Any, values: str = "int1", mb: float | None = None, **keys: Any) -> Method:
    context = Context(
        target=target, values=values, mb=mb, length=128, schedule=ScheduleConfig(rounds=1)
    )
    settings = find_method("xtc")(**keys)
    settings.check(context)
    return settings.make(context)


def within(dense: BertForSequenceClassification, mb: float, values: str, **keys: Any) -> float:
    """The ratio for a size."""
    return ratio_for(
        mb, lambda ratio: made(ratio, values, mb, **keys).plan(dense, 1), dense, values
    )


def words_of(plan: Plan) -> Any:
    return next(share for share in plan.rounds[-1].shares if share.name == WORDS)


@pytest.mark.parametrize(
    ("values", "target", "keys", "layers", "whole"),
    [
        ("int1", None, {}, 6, True),
        ("int1", None, {"layers": 3, "whole": "trimmed"}, 3, True),
        ("int1", 2.5, {"whole": "trimmed"}, 2, False),
        ("int2", 1.5, {"which": "first"}, 3, False),
    ],
)
def test_the_file_is_as_large_as_expected(
    dense, tmp_path: Path, values: str, target: Any, keys: Any, layers: int, whole: bool
) -> None:
    method = made(target, values, **keys)
    plan = method.plan(dense, 1)
    assert plan.layers == layers
    assert isinstance(words_of(plan), Share) != whole
    student = method.build(dense, plan)
    method.compress_(student, plan.rounds[0])
    set_bits_(student, values)
    assert plan.rounds[0].nonzeros == sum(p.numel() for p in student.parameters())
    matrices = {"bert.pooler.dense"} if "whole" in keys else set()
    matrices |= {f"{name}" for name, module in dense.named_modules()
                 if name.startswith("bert.encoder.layer.") and isinstance(module, torch.nn.Linear)
                 and int(name.split(".")[3]) < layers}  # fmt: skip
    assert set(compressed_layers(student)) == {WORDS} | matrices
    lada.save(student.eval(), load_tokenizer(None, ["a b"]), tmp_path / "x", {}, values=values)
    size = (tmp_path / "x/model.safetensors").stat().st_size
    assert expected_bytes(plan, dense, values) == pytest.approx(size, rel=0.03)


def test_its_layers_are_the_teachers(dense) -> None:
    method = made(None, layers=3)
    student = method.build(dense, method.plan(dense, 1))
    for ours, number in zip(student.bert.encoder.layer, (1, 3, 5), strict=True):
        theirs = dense.bert.encoder.layer[number].output.dense
        assert torch.equal(ours.output.dense.weight, theirs.weight)
        assert not ours.output.dense.masked
    assert made(None).plan(dense, 1).layers == 6


def test_a_target_that_layers_alone_do_not_meet(dense) -> None:
    plan = made(2.5).plan(dense, 4)
    ranks = plan.ranks[WORDS]
    assert ranks == sorted(ranks, reverse=True) and len(set(ranks)) > 1
    assert 2.5 <= plan.rounds[-1].ratio <= 2.5 * 1.01
    student = made(2.5).build(dense, plan)
    assert isinstance(student.get_submodule(WORDS), Factors)
    with pytest.raises(LadaError, match=r"the largest is x.*; method.embedding=svd or prune"):
        made(4.0, embedding="keep").plan(dense, 1)
    # The layers of a target in megabytes may be given: it is what the file has at most.
    assert made(1.0, mb=1.0, layers=1).plan(dense, 1).rounds[-1].ratio > 1.5
    with pytest.raises(LadaError, match=r"by itself; .* method\.layers=6 would do"):
        made(1.1, layers=1).plan(dense, 1)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"layers": 4}, r"^method\.layers: 4 layers do not fit a teacher of 6; would do: 1, 2, 3"),
        ({"layers": 12}, r"^method\.layers: 12 layers do not fit a teacher of 6"),
    ],
)
def test_layers_that_do_not_fit(dense, keys: Any, words: str) -> None:
    with pytest.raises(LadaError, match=words):
        made(None, **keys).plan(dense, 1)


@pytest.mark.parametrize(("mb", "layers"), [(0.4, 6), (0.3, 3)])
def test_a_size_decides_the_layers(dense, mb: float, layers: int) -> None:
    assert made(within(dense, mb, "int1"), mb=mb).plan(dense, 1).layers == layers


def test_a_size_that_no_number_of_layers_has(dense) -> None:
    with pytest.raises(LadaError, match=r"^target\.mb=0\.1: .* is about 0\.1\d+ MB\. Give more\.$"):
        within(dense, 0.1, "int1", embedding="keep")


@pytest.mark.slow
def test_a_run_that_is_stopped_and_resumed(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    args = [word for word in tiny if not word.startswith("target")]
    args += ["target=bytes", "target.mb=0.026", "method=xtc", "artifact=int1", "optim.lr=2e-3"]
    args += ["method.whole=trimmed", "method.vocabulary=trim"]
    check_resumed(train_py, args, tmp_path)
    record = record_of(tmp_path / "whole")
    assert record["artifact"]["scores"]["dev"]["accuracy"] > 0.6
    assert record["artifact"]["stored_bytes"] <= 26_000
    assert record["trimmed"]["pooler"] and "vocabulary" in record
    found = lada.load(run_in(tmp_path / "whole") / "artifact").model
    assert found.config.lada["values"] == "int1"
    assert isinstance(found.get_submodule(WORDS), Factors)
