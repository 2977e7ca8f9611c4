"""Early exits of every family, against its own model with fewer layers."""

import copy
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from families import batch, tiny
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from lada.artifact.model import config_of, write_model
from lada.nn.capture import takes_types
from lada.nn.early_exit import EarlyExit, early_exit_inventory, leave_at
from lada.nn.families import FAMILIES, encoder_of, keep_layers_, layers_of
from lada.nn.leaving import Pass
from lada.nn.surgery import inventory

LAYERS, ROWS = 4, 16
CASES: list[tuple[str, dict[str, Any]]] = [
    *((family, {}) for family in FAMILIES),
    ("modernbert", {"classifier_pooling": "mean"}),
    ("modernbert", {"classifier_bias": True}),
    ("deberta-v2", {"conv_kernel_size": 3}),
    ("albert", {"num_hidden_groups": 2}),
    # The head's first layer is not the one that widens the word embeddings.
    ("albert", {"embedding_size": 16}),
]
each_case = pytest.mark.parametrize(("family", "changes"), CASES)


def make(family: str, threshold: float = 0.5, **changes: Any) -> tuple[PreTrainedModel, EarlyExit]:
    """A teacher, and its student with ramps that are not sure of the same examples."""
    teacher = tiny(family, num_hidden_layers=LAYERS, initializer_range=0.3, **changes)
    torch.manual_seed(1)
    student = EarlyExit.from_teacher(teacher, threshold).eval()
    for p in student.ramps.parameters():
        nn.init.normal_(p, std=0.8)
    return teacher, student


def inputs(model: PreTrainedModel) -> dict[str, Tensor]:
    """As many examples as the tiny DeBERTa has relative positions: 2 x 8 buckets."""
    given = batch(model, ROWS, 12)
    given["attention_mask"][3, 5:] = 0
    given["attention_mask"][7, 2:] = 0
    return {name: t for name, t in given.items() if name != "token_type_ids" or takes_types(model)}


def cut(teacher: PreTrainedModel, layers: int) -> PreTrainedModel:
    """The teacher's encoder with its first layers."""
    config = copy.deepcopy(teacher.config)
    keep_layers_(config, range(layers))
    shorter: PreTrainedModel = type(teacher)(config).eval()
    theirs = teacher.state_dict()
    shorter.load_state_dict({name: theirs[name] for name in shorter.state_dict()})
    return encoder_of(shorter)  # type: ignore[no-any-return]


@each_case
@torch.no_grad()
def test_an_exit_is_a_ramp_on_a_shorter_model(family: str, changes: dict[str, Any]) -> None:
    teacher, student = make(family, **changes)
    given = inputs(student)
    exits = student.exits(**given)
    assert torch.equal(exits[-1], teacher(**given).logits)
    pooled = student.config.to_dict().get("classifier_pooling") == "mean"
    # The layers of ALBERT's groups depend on how many there are.
    for layers in range(1, LAYERS if changes != {"num_hidden_groups": 2} else 1):
        states = cut(teacher, layers)(**given).last_hidden_state
        ramp = student.ramps[layers - 1]
        for row, mask in enumerate(given["attention_mask"]):
            read = states[row, mask == 1].mean(0) if pooled else states[row, 0]
            wanted = ramp.classifier(torch.tanh(ramp.pooler.dense(read)))
            torch.testing.assert_close(exits[layers - 1, row], wanted, rtol=1e-4, atol=1e-5)


@each_case
@torch.no_grad()
def test_each_example_leaves_where_it_would_alone(family: str, changes: dict[str, Any]) -> None:
    _, student = make(family, **changes)
    given = inputs(student)
    exits = student.exits(**given)
    for threshold in (0.0, 0.3, 0.6, 1.0):
        student.config.exit_threshold = threshold
        layers = leave_at(exits, threshold)
        wanted = exits[layers - 1, torch.arange(ROWS)]
        torch.testing.assert_close(student(**given).logits, wanted, rtol=1e-4, atol=1e-5)
        for row in (0, 3, 7):
            alone = student(**{name: t[row : row + 1] for name, t in given.items()}).logits
            torch.testing.assert_close(alone, wanted[row : row + 1], rtol=1e-4, atol=1e-5)


@each_case
@torch.no_grad()
def test_layers_that_nobody_needs_do_not_run(family: str, changes: dict[str, Any]) -> None:
    _, student = make(family, **changes)
    given, sizes = inputs(student), []
    for layer in student.get_submodule(layers_of(student)).children():
        layer.register_forward_hook(lambda _, states, __: sizes.append(len(states[0])))
    for threshold in (0.0, 0.4, 1.0):
        sizes.clear()
        layers = leave_at(student.exits(**given), threshold)
        assert sizes == [ROWS] * LAYERS  # all of them when all exits are asked for
        sizes.clear()
        student.config.exit_threshold = threshold
        student(**given)
        assert sizes == [n for n in ((layers > k).sum().item() for k in range(LAYERS)) if n]


@each_case
def test_size_and_start(family: str, changes: dict[str, Any]) -> None:
    teacher = tiny(family, num_hidden_layers=LAYERS, **changes)
    student = EarlyExit.from_teacher(teacher, 0.5).train()
    counted = early_exit_inventory(inventory(teacher), teacher.config)
    assert counted.total == sum(p.numel() for p in student.parameters())
    heads = {
        "bert": "bert.pooler.dense", "ernie": "ernie.pooler.dense", "albert": "albert.pooler",
        "distilbert": "pre_classifier", "modernbert": "head.dense", "deberta-v2": "pooler.dense",
    }  # fmt: skip
    head = teacher.get_submodule(heads.get(family, "classifier.dense"))
    for ramp in student.ramps:
        dense = ramp.get_submodule("pooler.dense")
        assert torch.equal(dense.weight, head.weight)
        assert torch.equal(dense.bias, torch.zeros(16) if head.bias is None else head.bias)
    logits = student(**inputs(student)).logits
    assert logits.shape == (LAYERS, ROWS, 2)
    logits[:-1].square().sum().backward()
    for name, p in student.named_parameters():
        assert (p.grad is not None) == name.startswith("ramps."), name


@torch.no_grad()
def test_a_pass_is_of_its_thread() -> None:
    """Another thread that uses the model, or its encoder, in the middle of a pass."""
    _, student = make("roberta", 1.0)
    given = inputs(student)
    exits, states = student.exits(**given), student.roberta(**given).last_hidden_state
    elsewhere: list[Tensor] = []

    def use() -> None:
        with torch.no_grad():
            elsewhere.append(student.roberta(**given).last_hidden_state)
            elsewhere.append(student(**given).logits)

    def leave(number: int, _: Tensor, left: Tensor) -> Tensor:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        return left % 2 == 0 if number == 1 else left >= 0

    running = Pass(given["input_ids"], leave)
    ids, mask = given["input_ids"], given["attention_mask"]
    logits = running.run(lambda: student._all_layers(ids, mask, None))
    assert logits is not None
    torch.testing.assert_close(logits, exits[-1, ::2])
    for found in elsewhere[::2]:
        assert torch.equal(found, states)
    for found in elsewhere[1::2]:
        assert torch.equal(found, exits[0])


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_stored(family: str, tmp_path: Path) -> None:
    """Read by its Auto class, with the same exits, and the same bytes when written again."""
    _, student = make(family)
    write_model(tmp_path, student, config_of(student, "fp32", {"max_length": 16}))
    config = json.loads((tmp_path / "config.json").read_text())
    suffix = "early-exit" if family == "bert" else f"{family}-early-exit"
    assert config["model_type"] == f"lada-{suffix}"
    assert config["lada"]["version"] == ("1.2" if family == "bert" else "1.3")
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    given = inputs(student)
    assert torch.equal(read.exits(**given), student.exits(**given))
    assert torch.equal(read(**given).logits, student(**given).logits)
    read.save_pretrained(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.slow
def test_compiled() -> None:
    """Training is one graph, as without hooks; answers are the same although graphs break."""
    from torch._dynamo.testing import CompileCounter

    _, student = make("roberta", 0.4)
    given, student.config.hidden_dropout_prob = inputs(student), 0.0
    with torch.no_grad():
        exits, answers = student.exits(**given), student(**given).logits
    for module in student.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    counter = CompileCounter()
    student.train().compile(backend=counter)
    torch.testing.assert_close(student(**given).logits, exits)
    assert counter.frame_count == 1
    student.eval()
    with torch.no_grad():
        torch.testing.assert_close(student(**given).logits, answers)
    assert counter.frame_count > 1
