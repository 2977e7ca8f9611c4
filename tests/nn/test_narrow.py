"""A student that starts from its teacher's weights, narrowed."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import Result
from stopped import check_resumed
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from lada.errors import LadaError
from lada.methods import Context, methods
from lada.methods.families import NARROWED
from lada.nn.families import layers_of
from lada.nn.narrow import directions_of, narrow_
from lada.nn.statistics import gather
from lada.nn.surgery import inventory
from lada.ops.statistics import Seen, Statistics

SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2,
         "intermediate_size": 24, "hidden_dim": 24, "dim": 16, "n_layers": 4, "n_heads": 2,
         "max_position_embeddings": 20, "pad_token_id": 0}  # fmt: skip
IDS = torch.arange(3, 27).reshape(2, 12)
BATCH = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}


def _model(family: str, seed: int = 0, **changed: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(family, **(SIZES | changed))
    )
    for p in model.parameters():  # else all norms are alike and most biases zero
        torch.nn.init.normal_(p, mean=float(p.ndim == 1) * 0.5, std=0.3)
    return model.eval()


def _ordered(model: PreTrainedModel) -> Statistics:
    """Second moments by which the directions are the channels in their order."""
    found = gather(model, [BATCH])
    states = torch.diag(torch.arange(16.0, 0.0, -1.0))
    layers = {
        name: Seen(second=states) if seen.second is not None and len(seen.second) == 16 else seen
        for name, seen in found.layers.items()
    }
    return replace(found, layers=layers)


@pytest.mark.parametrize("family", NARROWED)
def test_of_the_same_size_it_is_its_teacher(family: str) -> None:
    """Also its heads, whose channels are new ones."""
    teacher, student = _model(family), _model(family, seed=1)
    narrow_(student, teacher, _ordered(teacher))
    with torch.no_grad():
        torch.testing.assert_close(
            student(**BATCH).logits, teacher(**BATCH).logits, rtol=1e-3, atol=1e-3
        )


def test_its_layers_are_every_second() -> None:
    teacher, student = _model("bert"), _model("bert", seed=1, num_hidden_layers=2)
    shorter = copy.deepcopy(teacher)
    layers = shorter.get_submodule(layers_of(shorter))
    shorter.set_submodule(layers_of(shorter), torch.nn.ModuleList([layers[1], layers[3]]))
    narrow_(student, teacher, _ordered(teacher))
    with torch.no_grad():
        found, expected = (model(**BATCH).logits for model in (student, shorter))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_a_narrow_one_is_nearer_than_a_random_one() -> None:
    teacher = _model("bert")
    statistics = gather(teacher, [BATCH])
    v, kept = directions_of(teacher, statistics, 8)
    assert 0.5 < kept < 1.0
    random = _model("bert", seed=1, hidden_size=8, intermediate_size=12)
    student = copy.deepcopy(random)
    narrow_(student, teacher, statistics)
    errors = []
    with torch.no_grad():
        theirs = teacher.base_model(**BATCH).last_hidden_state
        for model in (student, random):
            ours = model.base_model(**BATCH).last_hidden_state @ v.T.float()
            errors.append(float((ours - theirs).square().sum() / theirs.square().sum()))
    assert errors[0] < 0.8 * errors[1]


def test_the_projection_starts_as_the_way_back() -> None:
    teacher = _model("bert")
    statistics = gather(teacher, [BATCH])
    settings = methods()["tinybert"](
        layers=2, width=8, inner=12, heads=2, start="teacher", embedding="keep"
    )
    method = settings.make(Context(target=None, statistics=statistics))
    student = method.build(teacher, method.plan(teacher, 1))
    projection = method.projection(student, teacher)
    v, _ = directions_of(teacher, statistics, 8)
    torch.testing.assert_close(projection.fit_dense.weight.detach(), v.float())
    words = teacher.bert.embeddings.word_embeddings.weight.double() @ v
    torch.testing.assert_close(student.bert.embeddings.word_embeddings.weight, words.float())


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("bert_small", {"layers": 3}, "method.layers: method.start=teacher takes weights"),
        ("bert_small", {"heads": 4}, "method.heads=4: method.start=teacher .* has 2. Give that"),
        ("tinybert", {"width": 18}, "method.width=18: .* has 16. Give that or less"),
        ("tinybert", {"inner": 25}, "method.inner=25: .* has 24. Give that or less"),
    ],
)
def test_what_the_teacher_cannot_be_narrowed_to(name: str, given: dict, words: str) -> None:
    sizes = {"layers": 2, "width": 8, "inner": 12, "heads": 2} | given
    method = methods()[name](start="teacher", **sizes).make(Context(target=None))
    with pytest.raises(LadaError, match=words):
        method.plan(_model("bert"), 1)


def test_what_is_rejected_before() -> None:
    with pytest.raises(
        LadaError, match=r"start=teacher: method\.path='?F'? has weights of its own"
    ):
        methods()["tinybert"](start="teacher", path="F")
    with pytest.raises(LadaError, match="not made for models of family electra"):
        methods()["tinybert"](start="teacher").check(Context(target=None, family="electra"))


def test_it_is_of_the_planned_size() -> None:
    teacher = _model("bert", vocab_size=2000, intermediate_size=96)
    settings = methods()["tinybert"](
        layers=2, width=None, inner=None, heads=None, start="teacher", intermediate=0.5
    )
    context = Context(target=5.0, statistics=gather(teacher, [BATCH]))
    method = settings.make(context)
    plan = method.plan(teacher, 1)
    student = method.build(teacher, plan)
    method.compress_(student, plan.rounds[0])
    assert sum(p.numel() for p in student.parameters()) == plan.rounds[-1].nonzeros
    assert plan.rounds[-1].nonzeros <= inventory(teacher).total / 5


@pytest.mark.slow
def test_a_stopped_run_ends_as_a_whole_one(
    train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    """In both stages, each with its own learning rate."""
    args = [*tiny, "method=tinybert", "target=none", "method.layers=1", "method.width=32",
            "method.inner=48", "method.heads=2", "method.start=teacher", "method.examples=32",
            "optim.epochs=null", "optim.steps=20"]  # fmt: skip
    check_resumed(train_py, args, tmp_path, step=15)
