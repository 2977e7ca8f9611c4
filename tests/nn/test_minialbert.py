"""The recursive student against numpy, and against a BERT of equal layers."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from families import batch as batch_of
from families import tiny
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification
from transformers.models.bert.modeling_bert import BertLayer

from lada.artifact.config import CONFIGS
from lada.errors import LadaError
from lada.methods.families import serves
from lada.nn.capture import Outputs, forward, set_attention
from lada.nn.families import FAMILIES, layers_of
from lada.nn.minialbert import Adapter, MiniAlbert
from lada.nn.surgery import inventory

Make = Callable[..., BertForSequenceClassification]
Array = NDArray[np.float64]
LENGTHS = (7, 4, 1)
APPLICATIONS = 3


def minialbert_size(config: BertConfig, applications: int, adapter_size: int) -> int:
    """How many parameters a `MiniAlbert` from a teacher of this config has."""
    width: int = config.hidden_size
    inner: int = config.intermediate_size
    classes: int = config.num_labels
    norm, square = 2 * width, width * width + width
    rows = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
    embeddings = rows * width + norm
    attention = 4 * square + norm
    feed_forward = (width * inner + inner) + (inner * width + width) + norm
    adapter = (width * adapter_size + adapter_size) + (adapter_size * width + width) + norm
    head = square + (width * classes + classes)
    return int(embeddings + attention + feed_forward + applications * 2 * adapter + head)


@pytest.fixture
def student(make_bert: Make) -> MiniAlbert:
    torch.manual_seed(1)
    model = MiniAlbert.from_teacher(make_bert(), APPLICATIONS, 4).eval()
    for name, p in model.named_parameters():
        if "LayerNorm" in name or name.endswith("bias"):
            nn.init.normal_(p, mean=float(name.endswith("weight")), std=0.3)
    return model


def run(
    model: BertForSequenceClassification, batch: dict[str, Tensor], maps: str | None
) -> Outputs:
    set_attention(model, maps)
    with torch.no_grad():
        return forward(model, batch, hidden=True, attentions=maps is not None)


def _norm(x: Array, weight: Array, bias: Array) -> Array:
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12) * weight + bias


def _gelu(x: Array) -> Array:
    erf = torch.erf(torch.from_numpy(x / np.sqrt(2))).numpy()
    return np.asarray(x * (1 + erf) / 2)


def by_hand(model: MiniAlbert, batch: dict[str, Tensor], row: int) -> dict[str, list[Array]]:
    """One row without its padding: hidden states, scores and probabilities, logits."""
    weights = {n: p.detach().double().numpy() for n, p in model.named_parameters()}

    def linear(name: str, x: Array) -> Array:
        return np.asarray(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])

    def norm(name: str, x: Array) -> Array:
        return _norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def adapter(name: str, x: Array) -> Array:
        return norm(f"{name}.LayerNorm", x + linear(f"{name}.up", _gelu(linear(f"{name}.down", x))))

    length, heads = LENGTHS[row], model.config.num_attention_heads
    table = "bert.embeddings."
    x = weights[table + "word_embeddings.weight"][batch["input_ids"][row, :length]]
    x = x + weights[table + "token_type_embeddings.weight"][batch["token_type_ids"][row, :length]]
    x = norm(table + "LayerNorm", x + weights[table + "position_embeddings.weight"][:length])
    out: dict[str, list[Array]] = {"hidden": [x], "scores": [], "probabilities": []}
    layer = "bert.encoder.layer.0."
    for k in range(APPLICATIONS):
        q, key, v = (
            linear(f"{layer}attention.self.{n}", x).reshape(length, heads, -1)
            for n in ("query", "key", "value")
        )
        scores = np.einsum("qhw,khw->hqk", q, key) / np.sqrt(q.shape[-1])
        probabilities = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        mixed = np.einsum("hqk,khw->qhw", probabilities, v).reshape(length, -1)
        attended = linear(layer + "attention.output.dense", mixed)
        attended = norm(layer + "attention.output.LayerNorm", attended + x)
        attended = adapter(f"{layer}attention_adapters.{k}", attended)
        inner = _gelu(linear(layer + "intermediate.dense", attended))
        x = norm(layer + "output.LayerNorm", linear(layer + "output.dense", inner) + attended)
        x = adapter(f"{layer}output_adapters.{k}", x)
        out["hidden"].append(x)
        out["scores"].append(scores)
        out["probabilities"].append(probabilities)
    pooled = np.tanh(linear("bert.pooler.dense", x[0]))
    out["logits"] = [linear("classifier", pooled)]
    return out


@pytest.mark.parametrize("maps", ["scores", "probabilities", None])
def test_by_hand(student: MiniAlbert, batch: dict[str, Tensor], maps: str | None) -> None:
    out = run(student, batch, maps)
    assert len(out.hidden) == APPLICATIONS + 1
    assert len(out.attentions) == (0 if maps is None else APPLICATIONS)
    for row, length in enumerate(LENGTHS):
        expected = by_hand(student, batch, row)
        close = {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(out.logits[row], expected["logits"][0], **close)
        for ours, theirs in zip(out.hidden, expected["hidden"], strict=True):
            np.testing.assert_allclose(ours[row, :length], theirs, **close)
        if maps is not None:
            for ours, theirs in zip(out.attentions, expected[maps], strict=True):
                np.testing.assert_allclose(ours[row, :, :length, :length], theirs, **close)


def test_without_adapters_it_is_a_bert_of_equal_layers(
    make_bert: Make, batch: dict[str, Tensor]
) -> None:
    teacher = make_bert(num_hidden_layers=2)
    student = MiniAlbert.from_teacher(teacher, APPLICATIONS, 4).eval()
    for name, module in list(student.named_modules()):
        if isinstance(module, Adapter):
            student.set_submodule(name, nn.Identity())
    twin = make_bert(num_hidden_layers=APPLICATIONS)
    for part in ("embeddings", "pooler"):
        getattr(twin.bert, part).load_state_dict(getattr(teacher.bert, part).state_dict())
    for layer in twin.bert.encoder.layer:
        layer.load_state_dict(teacher.bert.encoder.layer[0].state_dict())
    twin.classifier.load_state_dict(teacher.classifier.state_dict())
    for maps in ("scores", "probabilities", None):
        ours, theirs = run(student, batch, maps), run(twin, batch, maps)
        assert torch.equal(ours.logits, theirs.logits)
        for a, b in zip(ours.hidden, theirs.hidden, strict=True):
            assert torch.equal(a, b)
        for a, b in zip(ours.attentions, theirs.attentions, strict=True):
            assert torch.equal(a, b)


def test_only_what_is_asked_for_and_anew_each_time(
    student: MiniAlbert, batch: dict[str, Tensor]
) -> None:
    set_attention(student, "scores")
    for hidden, attentions in ((False, False), (True, False), (False, True), (True, True)) * 2:
        out = forward(student, batch, hidden=hidden, attentions=attentions)
        assert len(out.hidden) == hidden * (APPLICATIONS + 1)
        assert len(out.attentions) == attentions * APPLICATIONS
    twin = copy.deepcopy(student)
    for a, b in zip(
        run(twin, batch, "scores").hidden, run(student, batch, None).hidden, strict=True
    ):
        real = batch["attention_mask"].bool()
        torch.testing.assert_close(a[real], b[real], rtol=0, atol=1e-5)


@pytest.mark.parametrize("place", range(APPLICATIONS))
@pytest.mark.parametrize("which", ["attention_adapters", "output_adapters"])
def test_adapters_are_each_application_s_own(
    student: MiniAlbert, batch: dict[str, Tensor], place: int, which: str
) -> None:
    before = run(student, batch, None)
    adapter = getattr(student.bert.encoder.layer[0], which)[place]
    nn.init.normal_(adapter.up.bias)
    after = run(student, batch, None)
    same = [torch.equal(a, b) for a, b in zip(before.hidden, after.hidden, strict=True)]
    assert same == [i <= place for i in range(APPLICATIONS + 1)]


def test_from_teacher_copies(make_bert: Make, batch: dict[str, Tensor]) -> None:
    teacher = make_bert().requires_grad_(False)
    set_attention(teacher, "scores")
    before = copy.deepcopy(teacher.state_dict())
    torch.manual_seed(5)
    student = MiniAlbert.from_teacher(teacher, 4, 3)
    shared = [n for n in before if "encoder.layer.1" not in n]
    ours = student.state_dict()
    for name in shared:
        assert torch.equal(ours[name], before[name]), name
    assert {n for n in ours if n not in shared} == {
        f"bert.encoder.layer.0.{which}.{k}.{part}"
        for which in ("attention_adapters", "output_adapters")
        for k in range(4)
        for part in ("down.weight", "down.bias", "up.weight", "up.bias",
                     "LayerNorm.weight", "LayerNorm.bias")
    }  # fmt: skip
    adapters = [m for m in student.modules() if isinstance(m, Adapter)]
    for adapter in adapters:
        assert bool(adapter.up.weight.any())
        assert bool((adapter.LayerNorm.weight == 1).all())
        assert not adapter.up.bias.any()
    assert not torch.equal(adapters[0].up.weight, adapters[1].up.weight)
    torch.manual_seed(5)
    again = MiniAlbert.from_teacher(teacher, 4, 3).state_dict()
    assert all(torch.equal(again[n], p) for n, p in ours.items())
    assert student.config.num_labels == 3
    # The teacher is left be, whatever becomes of the student.
    with torch.no_grad():
        for p in student.parameters():
            assert p.requires_grad
            p.zero_()
    assert all(torch.equal(before[n], p) for n, p in teacher.state_dict().items())
    assert teacher.config.num_hidden_layers == 2


def test_adapters_alone_are_trained(student: MiniAlbert, batch: dict[str, Tensor]) -> None:
    student.train_adapters_only_()
    before = copy.deepcopy(student.state_dict())
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    forward(student, batch, hidden=False, attentions=False).logits.square().sum().backward()
    optimizer.step()
    after = student.state_dict()
    changed = {n for n, p in after.items() if not torch.equal(p, before[n])}
    assert changed == {n for n in after if "adapters" in n or n.startswith("classifier")}


def test_everything_learns(student: MiniAlbert, batch: dict[str, Tensor]) -> None:
    student.train()
    set_attention(student, "scores")
    out = forward(student, batch, hidden=True, attentions=True)
    terms = (out.logits, *out.hidden, *out.attentions)
    sum(x.square().mean() for x in terms).backward()
    for name, p in student.named_parameters():
        assert p.grad is not None, name
        assert bool(p.grad.isfinite().all()), name
        assert bool(p.grad.any()), name


@pytest.mark.parametrize(("applications", "adapter"), [(1, 1), (2, 8), (5, 3)])
def test_size(make_bert: Make, applications: int, adapter: int) -> None:
    teacher = make_bert(num_labels=2)
    student = MiniAlbert.from_teacher(teacher, applications, adapter)
    expected = minialbert_size(teacher.config, applications, adapter)
    assert sum(p.numel() for p in student.parameters()) == expected
    assert sum(p.numel() for p in student.state_dict().values()) == expected
    assert inventory(student).total == expected
    assert sum(isinstance(m, BertLayer) for m in student.modules()) == 1


def test_size_compared_with_bert_base() -> None:
    # Embeddings, a layer, twelve adapters, pooler and classifier.
    expected = 23_837_184 + 7_087_872 + 12 * 76_080 + 590_592 + 2_307
    assert minialbert_size(BertConfig(num_labels=3), 6, 48) == expected


def test_saved_and_read_again(
    student: MiniAlbert, batch: dict[str, Tensor], tmp_path: Path
) -> None:
    expected = run(student, batch, None)
    student.save_pretrained(tmp_path)
    again = type(student).from_pretrained(tmp_path).eval()
    assert torch.equal(run(again, batch, None).logits, expected.logits)
    empty = type(student)(student.config).eval()
    empty.load_state_dict(student.state_dict())
    assert torch.equal(run(empty, batch, None).logits, expected.logits)


@pytest.mark.parametrize(("weight", "bias"), [(0.6, 0.0), (0.3, 0.5), (1.0, 0.0), (2.0, -1.0)])
def test_adapters_keep_the_scale_of_the_states(make_bert: Make, weight: float, bias: float) -> None:
    """A LayerNorm of weight 1 would bring states of rms 0.6 to 1 and undo the teacher's start."""
    teacher = make_bert().eval()
    for name, p in teacher.named_parameters():
        if name.endswith("LayerNorm.weight"):
            nn.init.normal_(p, mean=weight, std=0.05)
        elif name.endswith("LayerNorm.bias"):
            nn.init.normal_(p, mean=bias, std=0.05)
    student = MiniAlbert.from_teacher(teacher, APPLICATIONS, 4).eval()
    student.requires_grad_(False)
    teacher.requires_grad_(False)
    states = torch.randn(200, teacher.config.hidden_size)
    shared = student.bert.encoder.layer[0]
    for block, adapters in (
        (shared.attention.output, shared.attention_adapters),
        (shared.output, shared.output_adapters),
    ):
        before = block.LayerNorm(states)
        for adapter in adapters:
            nn.init.zeros_(adapter.up.weight)  # nothing learnt yet: only the LayerNorm acts
            nn.init.zeros_(adapter.up.bias)
            after = adapter(before).square().mean().sqrt()
            assert float(after / before.square().mean().sqrt()) == pytest.approx(1, rel=0.03)


SERVED = [name for name in FAMILIES if serves("minialbert", name) is None]


def test_families_that_are_served_have_artifacts() -> None:
    found = {config.family for config in CONFIGS.values() if config.form == "minialbert"}
    assert found == set(SERVED) < set(FAMILIES)


@pytest.mark.parametrize("family", SERVED)
def test_every_family_that_is_served(family: str) -> None:
    """Without adapters a model of equal layers; with them each application is another."""
    teacher = tiny(family, num_hidden_layers=2).eval()
    twin = tiny(family, num_hidden_layers=APPLICATIONS).eval()
    layers = layers_of(teacher)
    first = teacher.get_submodule(f"{layers}.0").state_dict()
    rest = {k: v for k, v in teacher.state_dict().items() if not k.startswith(f"{layers}.")}
    twin.load_state_dict(rest, strict=False)
    for layer in twin.get_submodule(layers).children():
        layer.load_state_dict(first)
    torch.manual_seed(1)
    student = MiniAlbert.from_teacher(teacher, APPLICATIONS, 4).eval()
    given = batch_of(teacher)
    with torch.no_grad():
        with_adapters = student(**given).logits
        shared = student.shared_layer()
        outputs = []
        for adapters in (shared.attention_adapters, shared.output_adapters):
            for adapter in adapters:
                assert isinstance(adapter, Adapter)
                before = adapter.up.bias.clone()
                adapter.up.bias.normal_()
                outputs.append(student(**given).logits)
                adapter.up.bias.copy_(before)
        assert len({tuple(found.flatten().tolist()) for found in outputs}) == 2 * APPLICATIONS
        assert torch.equal(student(**given).logits, with_adapters)
        for name, module in list(student.named_modules()):
            if isinstance(module, Adapter):
                student.set_submodule(name, nn.Identity())
        theirs = twin(**given, output_hidden_states=True)
        ours = student(**given, output_hidden_states=True)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-6, atol=1e-6)
    for one, other in zip(ours.hidden_states, theirs.hidden_states, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(SERVED)))
def test_other_layers_are_rejected(family: str) -> None:
    """Also without the table of reasons, as for families that a user adds."""
    with pytest.raises(LadaError, match=r"^method=minialbert: .*Choose another method\.$"):
        MiniAlbert.from_teacher(tiny(family), 2, 4)
