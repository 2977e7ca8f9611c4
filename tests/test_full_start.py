"""``schedule.start=full``: students that start as their teacher, in any loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from compressing import examples, nonzeros
from helpers import Result, record_of, small_bert
from stopped import check_resumed
from torch import Tensor

import lada
from lada.config import ScheduleConfig
from lada.methods import MethodSettings
from lada.methods.factorization_kd import FactorizationKdSettings
from lada.methods.kd import KdSettings
from lada.methods.lada import LadaSettings
from lada.methods.pruning import PruningSettings
from lada.nn.compressed import compressed_layers
from lada.nn.pretrained import load_tokenizer

Cli = Callable[..., Result]
STEPS = 12
FULL = ScheduleConfig(start="full", rounds=3)
AT = (0, 3, 6)
METHODS: dict[str, MethodSettings] = {
    "lada": LadaSettings(),
    "global": LadaSettings(threshold="global"),
    "refactorize": LadaSettings(lower_rank="refactorize"),
    "whitened": LadaSettings(factorizer="whitened", score="activation", lower_rank="refactorize"),
    "platon": LadaSettings(score="platon"),
    "rank": FactorizationKdSettings(),
    "pruning": PruningSettings(),
}


@pytest.fixture
def teacher() -> Any:
    torch.manual_seed(4)
    return small_bert().eval()


def prepared(
    teacher: Any, method: MethodSettings, schedule: ScheduleConfig = FULL, **more: Any
) -> lada.Compression:
    if method.needs_statistics:
        more["batches"] = [examples()]
    return lada.prepare(teacher, steps=STEPS, method=method, schedule=schedule, **more)


def logits(model: Any) -> Tensor:
    given = {name: values for name, values in examples().items() if name != "labels"}
    with torch.no_grad():
        found: Tensor = model.eval()(**given).logits
    return found


def train(
    compression: lada.Compression, optimizer: Any, teacher: Any, start: int = 0, end: int = STEPS
) -> list[float]:
    losses = []
    compression.model.train()
    for step in range(start, end):
        compression.before_step(step, optimizer)
        batch = {name: values[8 * (step % 4) :][:8] for name, values in examples().items()}
        loss = compression.distillation_loss(batch, teacher=teacher)
        loss.backward()
        compression.after_backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def adamw(compression: lada.Compression) -> torch.optim.AdamW:
    return torch.optim.AdamW(compression.model.parameters(), lr=1e-3)


@pytest.mark.parametrize(
    ("method", "target"),
    [*((method, 4.0) for method in METHODS.values()), (KdSettings(layers=2), 1.5)],
    ids=[*METHODS, "layers"],
)
def test_it_starts_as_its_teacher(teacher: Any, method: MethodSettings, target: float) -> None:
    full, usual = (
        prepared(teacher, method, ScheduleConfig(start=start, rounds=3), target=target)
        for start in ("full", "compressed")
    )
    off = []
    for compression in (full, usual):
        assert compression.before_step(0) == [0]
        off.append(float((logits(compression.model) - logits(teacher)).abs().max()))
    assert off[0] < 1e-5
    assert off[1] > 100 * off[0]
    assert full.ratio <= 1 < usual.ratio
    assert full.at == usual.at == AT
    assert full.plan.rounds[-1] == usual.plan.rounds[-1]
    # Every rank and every entry, so that the next rounds are the first to remove any.
    for name, layer in compressed_layers(full.model).items():
        weight = teacher.get_submodule(name).weight
        assert getattr(layer, "rank", min(weight.shape)) == min(weight.shape)
        assert not layer.masked


@pytest.mark.parametrize("name", METHODS)
def test_it_ends_at_the_target_from_its_file(teacher: Any, name: str, tmp_path: Path) -> None:
    target, dense = 4.0, sum(p.numel() for p in teacher.parameters())
    compression = prepared(teacher, METHODS[name], target=target)
    optimizer, sizes = adamw(compression), []
    for step in range(STEPS):
        train(compression, optimizer, teacher, step, step + 1)
        sizes.append(nonzeros(compression.model))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] >= dense
    assert dense / sizes[-1] == pytest.approx(target, rel=0.005)
    tokenizer = load_tokenizer(None, ["the soup was not bad at all"])
    task = {"task": "demo", "max_length": 16}
    lada.save(compression.model, tokenizer, tmp_path / "artifact", task, values="fp32")
    assert nonzeros(lada.load(tmp_path / "artifact").model) == sizes[-1]
    torch.testing.assert_close(
        logits(lada.load(tmp_path / "artifact").model), logits(compression.model)
    )


@pytest.mark.slow
@pytest.mark.parametrize("cut", [2, 3, 5, 9])
@pytest.mark.parametrize("name", ["lada", "whitened", "platon", "pruning"])
def test_it_resumes_bit_equal(teacher: Any, name: str, cut: int, tmp_path: Path) -> None:
    """In the full round, right before the first step down, and after it."""
    method = METHODS[name]
    torch.manual_seed(0)
    whole = prepared(teacher, method, target=4)
    losses = train(whole, adamw(whole), teacher)

    torch.manual_seed(0)
    first = prepared(teacher, method, target=4)
    optimizer = adamw(first)
    train(first, optimizer, teacher, end=cut)
    states = [first.model.state_dict(), optimizer.state_dict(), first.state_dict()]
    torch.save([*states, torch.get_rng_state()], tmp_path / "checkpoint")

    again = prepared(teacher, method, target=4)
    optimizer = adamw(again)
    model, moments, rounds, rng = torch.load(tmp_path / "checkpoint", weights_only=True)
    again.model.load_state_dict(model)
    optimizer.load_state_dict(moments)
    again.load_state_dict(rounds)
    torch.set_rng_state(rng)
    assert train(again, optimizer, teacher, start=cut) == losses[cut:]
    assert again.finished
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key


def test_a_state_of_the_other_start_is_rejected(teacher: Any) -> None:
    full, usual = (
        prepared(teacher, LadaSettings(), ScheduleConfig(start=start, rounds=3), target=4)
        for start in ("full", "compressed")
    )
    full.before_step(0)
    with pytest.raises(lada.LadaError, match="compression: its state has ratios="):
        usual.load_state_dict(full.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 14], ids=["before the first step down", "after it"])
def test_a_run_is_stopped_and_resumed(
    step: int, train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    args = [*tiny, "schedule.start=full", "method.lower_rank=refactorize"]
    check_resumed(train_py, args, tmp_path, step)
    record = record_of(tmp_path / "cut")
    first, second, *_ = record["plan"]["rounds"]
    assert first["ratio"] < 1 < record["plan"]["rounds"][-1]["ratio"]
    assert first["step"] == 0 and (step < second["step"]) == (step == 2)


class TestRounds:
    """How many rounds there are, and what cannot be."""

    def test_delta_counts_the_rounds_that_compress(self) -> None:
        usual, full = (ScheduleConfig(delta=0.8, start=s) for s in ("compressed", "full"))
        assert len(full.rounds_at(7.5, 1000)) == len(usual.rounds_at(7.5, 1000)) + 1

    @pytest.mark.parametrize(
        ("schedule", "rounds"),
        [
            ({"rounds": 2}, [0, 25]),
            ({"rounds": 6}, [0, 5, 10, 15, 20, 25]),
            ({"every": "epoch"}, [0, 20]),
            ({"every": "8"}, [0, 8, 16, 24]),
        ],
    )
    def test_a_quarter_of_the_training(self, schedule: dict[str, Any], rounds: list[int]) -> None:
        found = ScheduleConfig(start="full", recovery=0.75, **schedule)
        assert found.rounds_at(7.5, 100, epoch=20) == rounds

    def test_one_round(self) -> None:
        line = r"^schedule\.start=full: the only round has to meet the target\. Give schedule\.rou"
        with pytest.raises(lada.LadaError, match=line):
            ScheduleConfig(start="full", rounds=1)
        for schedule in (ScheduleConfig(start="full", every="30", recovery=0.75),
                         ScheduleConfig(start="full", every="epoch", recovery=0.75)):  # fmt: skip
            with pytest.raises(lada.LadaError, match=line):
                schedule.rounds_at(7.5, 100, epoch=40)
        assert ScheduleConfig(start="full", rounds=1, every="10").rounds_at(7.5, 100)[-1] == 50

    @pytest.mark.parametrize("steps", [1, 2, 7, 27])
    @pytest.mark.parametrize("start", ["full", "compressed"])
    def test_too_few_steps_for_a_long_recovery(self, start: str, steps: int) -> None:
        """8 rounds before a quarter of the training is over take 28 steps."""
        schedule = ScheduleConfig(start=start, recovery=0.75)  # type: ignore[arg-type]
        with pytest.raises(lada.LadaError, match=r"^schedule: 8 rounds do not fit") as error:
            schedule.rounds_at(7.5, steps)
        assert "\n" not in str(error.value) and "schedule.rounds" in str(error.value)
        assert schedule.rounds_at(7.5, 28) == list(range(8))
