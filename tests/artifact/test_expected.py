"""The expected size of a file, against files that are written."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

import lada
from lada.artifact.expected import expected_bytes, positions_bytes, ratio_for
from lada.errors import LadaError
from lada.methods import Context, find_method
from lada.methods.groups import ScheduleConfig
from lada.ops.plan import Plan


@pytest.fixture(scope="module")
def dense() -> BertForSequenceClassification:
    """A model of a few hundred thousand parameters, whose matrices are not tiny."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=6000, hidden_size=96, num_hidden_layers=3, num_attention_heads=4,
            intermediate_size=384, max_position_embeddings=64,
        )  # fmt: skip
        return BertForSequenceClassification(config).eval()


@pytest.mark.parametrize(
    ("method", "target", "values"),
    [
        ("lada", 5, "int8"),
        ("factorization_kd", 5, "int8"),
        ("pruning_kd", 5, "int8"),
        ("factorization_kd", 2, "fp32"),
        ("lada", 3, "fp16"),
        ("factorization_kd", 3, "int4"),
        ("lada", 3, "int3"),
        ("factorization_kd", 3, "int2"),
        ("factorization_kd", 3, "int1"),
    ],
)
def test_it_is_near(dense, tokenizer, tmp_path: Path, method: str, target: float, values: str):
    made = lada.prepare(
        dense, target=target, steps=1, method=method, values=values,
        schedule=ScheduleConfig(rounds=1),
    )  # fmt: skip
    made.before_step(0, torch.optim.SGD(made.model.parameters(), lr=0.0))
    lada.save(made.model, tokenizer, tmp_path / "artifact", {}, values=values)
    size = (tmp_path / "artifact/model.safetensors").stat().st_size
    assert expected_bytes(made.plan, dense, values) == pytest.approx(size, rel=0.15)


def test_of_units(dense, tokenizer, tmp_path: Path) -> None:
    made = find_method("grain")().make(Context(target=8.0))
    plan = made.plan(dense, 1)
    student = made.build(dense, plan)
    made.compress_(student, plan.rounds[0])  # before any gradient: by magnitude
    lada.save(student, tokenizer, tmp_path / "artifact", {})
    size = (tmp_path / "artifact/model.safetensors").stat().st_size
    assert expected_bytes(plan, dense, "int8") == pytest.approx(size, rel=0.1)


def plan_at(dense, ratio: float) -> Plan:
    method = find_method("lada")()
    return method.make(Context(target=ratio)).plan(dense, 1)


@pytest.mark.parametrize("mb", [0.15, 0.3])
def test_the_smallest_ratio_that_fits(dense, mb: float) -> None:
    def of(ratio: float) -> int:
        return expected_bytes(plan_at(dense, ratio), dense, "int8")

    ratio = ratio_for(mb, lambda ratio: plan_at(dense, ratio), dense, "int8")
    assert ratio == round(ratio, 3)
    assert of(ratio) <= mb * 1e6 < 1.01 * of(ratio)


def test_more_than_it_has(dense) -> None:
    assert ratio_for(100.0, lambda ratio: plan_at(dense, ratio), dense, "int8") == 1.0


def test_too_small(dense) -> None:
    with pytest.raises(LadaError, match=r"^target\.mb=0\.01: .* the least is about 0\.\d+ MB"):
        ratio_for(0.01, lambda ratio: plan_at(dense, ratio), dense, "int8")


def test_positions() -> None:
    assert positions_bytes(500, 1000) == 125.0
    assert positions_bytes(0, 1000) == positions_bytes(1000, 1000) == 0.0
    assert positions_bytes(100, 1000) == pytest.approx(positions_bytes(900, 1000))
