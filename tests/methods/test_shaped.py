"""Students of a shape of their own: TinyBERT and BERT-Small, as published and by a target."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import Result, record_of, run_in
from transformers import BertConfig, BertForSequenceClassification

from lada.config import ScheduleConfig
from lada.errors import LadaError
from lada.methods.forms import ShapeSettings
from lada.methods.shaped import Shaped

Cli = Callable[..., Result]
SCHEDULE = ScheduleConfig(rounds=1, recovery=0.2)
PUBLISHED = (4, 312, 1200, 12)
NULLS = (None, None, None, None)


def _shaped(shape: tuple[int | None, ...], target: float | None, how: str, path=None) -> Shaped:
    layers, width, inner, heads = shape
    sizes = ShapeSettings(
        embedding=how, layers=layers, width=width, inner=inner, heads=heads, path=path
    )
    return Shaped(sizes, target, SCHEDULE, seed=1)


def _teacher(**config: int) -> BertForSequenceClassification:
    with torch.device("meta"):
        return BertForSequenceClassification(BertConfig(**config))


@pytest.fixture(scope="module")
def minilm() -> BertForSequenceClassification:
    return _teacher(hidden_size=384, num_hidden_layers=6, intermediate_size=1536)


def _small(tmp_path: Path, **config: int) -> str:
    """A pretrained folder of a small shape."""
    sizes = {"num_hidden_layers": 1, "hidden_size": 12, "intermediate_size": 8,
             "num_attention_heads": 2, "vocab_size": 50, "max_position_embeddings": 16}  # fmt: skip
    model = BertForSequenceClassification(BertConfig(**(sizes | config)))
    model.save_pretrained(tmp_path / "small")
    return str(tmp_path / "small")


def test_tinybert_has_14_million_parameters() -> None:
    """Published (arXiv 1909.10351): 14.5 M with what is dropped after the training."""
    plan = _shaped(PUBLISHED, None, "keep").plan(_teacher(), 1)
    assert plan.rounds[-1].nonzeros == 14_350_874


@pytest.mark.parametrize("target", [2.5, 5.0, 7.5, 10.0])
@pytest.mark.parametrize("how", ["keep", "svd", "prune"])
def test_what_is_planned_is_what_is_built(target: float, how: str) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=500, hidden_size=48, num_hidden_layers=6, num_attention_heads=4,
        intermediate_size=96, max_position_embeddings=16,
    )  # fmt: skip
    teacher = BertForSequenceClassification(config)
    structure = _shaped(NULLS, target, how)
    plan = structure.plan(teacher, 3)
    student = structure.build(teacher, plan)
    for round_ in plan.rounds:
        structure.compress_(student, round_)
    built = student.config
    assert (built.num_hidden_layers, built.num_attention_heads) == (3, 4)
    assert built.hidden_size % 4 == 0
    kept = sum(int((p != 0).sum()) for p in student.parameters())
    zeros = sum(int((p == 0).sum()) for n, p in student.named_parameters() if n.endswith("bias"))
    zeros += built.hidden_size  # the row of [PAD], from scratch
    assert plan.rounds[-1].ratio >= target
    if how != "keep":
        assert plan.rounds[-1].ratio == pytest.approx(target, rel=0.02)  # a tiny model
    assert kept <= plan.rounds[-1].nonzeros <= kept + zeros
    assert teacher.config.hidden_size == 48


def test_the_published_shape_does_not_fit_a_small_teacher(
    minilm: BertForSequenceClassification,
) -> None:
    with pytest.raises(LadaError) as caught:
        _shaped(PUBLISHED, 7.5, "svd").plan(minilm, 1)
    assert "the largest is x4.61; method.width=null method.inner=null" in str(caught.value)
    assert _shaped(PUBLISHED, 4.61, "svd").plan(minilm, 1).rounds[-1].ratio >= 4.61
    plan = _shaped((None, None, None, 12), 7.5, "svd").plan(minilm, 1)
    assert 7.5 <= plan.rounds[-1].ratio < 7.5 * 1.005


def test_a_width_that_the_teachers_heads_do_not_divide(
    minilm: BertForSequenceClassification,
) -> None:
    with pytest.raises(LadaError, match="give a multiple of 12"):
        _shaped((3, 100, 200, None), None, "keep").plan(minilm, 1)


def test_more_heads_than_the_teacher_is_wide(minilm: BertForSequenceClassification) -> None:
    with pytest.raises(LadaError, match=r"method\.heads=400: .* 384. Give that or less"):
        _shaped((None, None, None, 400), 7.5, "svd").plan(minilm, 1)


def test_a_pretrained_student(tmp_path: Path) -> None:
    folder = _small(tmp_path)
    teacher = _teacher(
        vocab_size=50, hidden_size=24, num_attention_heads=2, max_position_embeddings=16
    )
    structure = _shaped((1, 12, 8, 2), None, "keep", folder)
    plan = structure.plan(teacher, 1)
    student = structure.build(teacher, plan)
    assert sum(p.numel() for p in student.parameters()) == plan.rounds[-1].nonzeros
    with pytest.raises(
        LadaError, match=r"Give method\.layers=1 method\.width=12 method\.inner=8 m"
    ):
        _shaped(PUBLISHED, None, "keep", folder).plan(teacher, 1)
    with pytest.raises(LadaError, match="it has 50 tokens, the teacher 30522"):
        _shaped((1, 12, 8, 2), None, "keep", folder).plan(_teacher(), 1)
    with pytest.raises(LadaError, match=r"method\.path=nowhere: has no"):
        _shaped((1, 12, 8, 2), None, "keep", "nowhere").plan(teacher, 1)


def test_a_solved_width_is_trained_and_written(
    train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    nulls = [f"method.{key}=null" for key in ("layers", "width", "inner", "heads")]
    result = train_py(*tiny, "method=tinybert", *nulls, "target=5x", "optim.epochs=1")
    assert result.code == 0, result.err
    reached = record_of(tmp_path)["reached"]
    assert 5 <= reached < 5 * 1.005
    config = json.loads((run_in(tmp_path) / "artifact/config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"]) == (2, 22)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["method.width=null"], "goes with method.inner=null"),
        (["method.inner=null"], "goes with method.width=null"),
        (["method.width=0"], "method.width=0: must be at least 1"),
        (["method.width=null", "method.inner=null", "target=none"], "Give target=7.5x, ... or"),
        (["method.width=null", "method.inner=null", "method.path=x"], "a width of its own"),
        (["method.heads=4", "method.layers=1"], "teacher has 2, and each map"),
        (["method.layers=2", "method.heads=2"], "method.width=null method.inner=null"),
        (["method.layers=3", "method.heads=2"], "would do: 1, 2; or method.layers=null"),
    ],
)
def test_rejected(train_py: Cli, tiny: list[str], args: list[str], words: str) -> None:
    result = train_py(*tiny, "method=tinybert", "target=7.5x", *args)
    assert result.code == 2
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, result.err
    assert words in lines[0]
