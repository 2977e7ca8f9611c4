"""`lada.prepare`: the student, its rounds, and the loss for loops of one's own."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import small_bert
from torch import Tensor, nn
from transformers import BertForSequenceClassification

import lada
from lada.config import DistillConfig, RatiosConfig, ScheduleConfig
from lada.methods import methods
from lada.methods.lada import LadaSettings
from lada.methods.pkd import PkdSettings
from lada.methods.tinybert import TinyBertSettings
from lada.nn.compressed import compressed_layers
from lada.nn.pretrained import load_tokenizer
from tests.families import batch as family_batch
from tests.families import tiny

STEPS = 24
FOR_ANY_LOOP = [name for name, kind in methods().items() if kind.needs_run is None]
LENGTHS = (7, 12, 4, 9)


@pytest.fixture
def classifier() -> BertForSequenceClassification:
    torch.manual_seed(5)
    return small_bert().eval()


def batch_of(seed: int, length: int = max(LENGTHS)) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 2000, (len(LENGTHS), max(LENGTHS)), generator=draw)
    ids = nn.functional.pad(ids, (0, length - max(LENGTHS)))
    mask = (torch.arange(length) < torch.tensor(LENGTHS)[:, None]).long()
    labels = torch.randint(2, (len(LENGTHS),), generator=draw)
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": labels}


def train(compression: lada.Compression, teacher: Any, steps: int = STEPS) -> None:
    optimizer = torch.optim.AdamW(compression.model.parameters(), lr=1e-3)
    for step in range(steps):
        compression.before_step(step, optimizer)
        compression.distillation_loss(batch_of(step), teacher=teacher).backward()
        compression.after_backward()
        optimizer.step()
        optimizer.zero_grad()


def nonzeros(model: nn.Module) -> int:
    """Counted by the masks and ranks of each layer; what has none counts whole."""
    total, inside = 0, set()
    for layer in compressed_layers(model).values():
        for part, mask in layer.masks.items():
            inside.add(id(getattr(layer, part)))
            total += int(layer.active(mask).sum())
    return total + sum(p.numel() for p in model.parameters() if id(p) not in inside)


@pytest.mark.parametrize(
    "method", [name for name, kind in methods().items() if kind.needs_run is None]
)
def test_every_method_ends_at_the_target(
    classifier: BertForSequenceClassification, tmp_path: Path, method: str
) -> None:
    by_form = method in ("finetune", "kd", "pkd", "layerdrop", "xtc")
    target = 2.0 if by_form else 4.0
    given: Any = PkdSettings(layers=2) if method == "pkd" else method
    if by_form and method != "pkd":
        target = 3.0
    more: Any = {}
    if method == "lada_plus":
        more = {"max_length": 16, "batches": [batch_of(seed) for seed in range(8)]}
    compression = lada.prepare(classifier, target=target, steps=STEPS, method=given, **more)
    before = nonzeros(classifier)
    train(compression, classifier)
    assert compression.finished
    # A rank of the word embeddings is up to 7 % of a student that is this tiny.
    reached = before / nonzeros(compression.model)
    assert reached == pytest.approx(compression.ratio)
    assert target <= reached * 1.005
    assert reached <= target * (1.07 if by_form else 1.005)
    for layer in compressed_layers(compression.model).values():
        for part, mask in layer.masks.items():
            assert not layer.active(part)[~layer.active(mask)].any()
    tokenizer = load_tokenizer(None, ["the soup was not bad"])
    lada.save(compression.model, tokenizer, tmp_path / "out", {"max_length": 16}, values="fp32")
    batch = {k: v for k, v in batch_of(99).items() if k != "labels"}
    with torch.no_grad():
        found = lada.load(tmp_path / "out").model(**batch).logits
        assert torch.equal(found, compression.model.eval()(**batch).logits)


def test_the_model_and_the_process_are_left_as_they_were(
    classifier: BertForSequenceClassification,
) -> None:
    classifier.bert.pooler.train()
    weights = copy.deepcopy(classifier.state_dict())
    modes = [m.training for m in classifier.modules()]
    attention, random = classifier.config._attn_implementation, torch.get_rng_state()
    compression = lada.prepare(classifier, target=4, steps=STEPS)
    assert torch.equal(torch.get_rng_state(), random)
    train(compression, classifier)
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert [m.training for m in classifier.modules()] == modes
    assert classifier.config._attn_implementation == attention
    assert all(p.requires_grad and p.grad is None for p in classifier.parameters())
    ours = {p.data_ptr() for p in compression.model.parameters()}
    assert ours.isdisjoint(p.data_ptr() for p in classifier.parameters())


def test_a_folder_is_the_same_as_its_model(
    classifier: BertForSequenceClassification, tmp_path: Path
) -> None:
    classifier.save_pretrained(tmp_path / "model")
    first = lada.prepare(classifier, target=4, steps=STEPS)
    random = torch.get_rng_state()
    second = lada.prepare(tmp_path / "model", target=4, steps=STEPS)
    assert torch.equal(torch.get_rng_state(), random)
    assert first.plan == second.plan
    for name, value in first.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value), name


def test_the_loss_by_hand(classifier: BertForSequenceClassification) -> None:
    distill = DistillConfig(
        embedding=0.5,
        attention=2,
        hidden=3.0,
        prediction=0.7,
        maps="probabilities",
        temperature=2.0,
    )
    compression = lada.prepare(classifier, target=4, steps=STEPS, distill=distill)
    compression.before_step(0)
    student = compression.model.eval()
    batch = batch_of(3)
    loss = compression.distillation_loss(batch, teacher=classifier).item()

    def run(model: Any) -> Any:
        inputs = {k: batch[k] for k in ("input_ids", "attention_mask")}
        plain = copy.deepcopy(model)
        plain.set_attn_implementation("eager")
        return plain(**inputs, output_hidden_states=True, output_attentions=True)

    with torch.no_grad():
        s, t = run(student), run(classifier)
    sums = {"embedding": 0.0, "hidden": 0.0, "attention": 0.0}
    for row, n in enumerate(LENGTHS):
        for layer, (a, b) in enumerate(zip(s.hidden_states, t.hidden_states, strict=True)):
            name = "hidden" if layer else "embedding"
            sums[name] += float(((a[row, :n] - b[row, :n]) ** 2).sum()) / (32 * sum(LENGTHS))
        for a, b in zip(s.attentions, t.attentions, strict=True):
            square = ((a[row, :, :n, :n] - b[row, :, :n, :n]) ** 2).sum()
            sums["attention"] += float(square) / (2 * sum(n * n for n in LENGTHS))
    soft = (t.logits / 2).softmax(-1) * (s.logits / 2).log_softmax(-1)
    expected = 0.5 * sums["embedding"] + 2 * sums["attention"] + 3 * sums["hidden"]
    expected -= 0.7 * float(soft.sum()) / len(LENGTHS)
    assert loss == pytest.approx(expected, rel=1e-4)
    longer = compression.distillation_loss(batch_of(3, length=20), teacher=classifier).item()
    assert longer == pytest.approx(loss, rel=1e-4)


def test_what_the_loss_lacks_is_named(classifier: BertForSequenceClassification) -> None:
    compression = lada.prepare(classifier, target=4, steps=STEPS)
    labels = lada.prepare(classifier, target=4, steps=STEPS, method="hybrid")
    batch = batch_of(1)
    for given, batch_, teacher, match in (
        (compression, batch, None, "^teacher: is not given"),
        (compression, batch, compression.model, "^teacher: is the student"),
        (compression, {"labels": batch["labels"]}, classifier, "^batch: has no input_ids"),
        (labels, {k: v for k, v in batch.items() if k != "labels"}, None, "^batch: has no labels"),
    ):
        with pytest.raises(lada.LadaError, match=match):
            given.distillation_loss(batch_, teacher=teacher)
    for model in (classifier, compression.model):  # also after an error on the way
        assert model.config._attn_implementation == "sdpa"
    assert labels.distillation_loss(batch).isfinite()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"method": "tinybert"}, "^method=tinybert: trains in two stages.* lada.compress"),
        ({"method": "bilstm"}, "^method=bilstm: .*pairs"),
        ({"method": "quantization"}, "^method=quantization: trains nothing"),
        ({"method": "ladder"}, "^method=ladder: no such method"),
        ({"method": TinyBertSettings()}, "^method=tinybert: trains in two stages"),
        ({"method": 3}, "^method: is of type int"),
        ({"target": 1}, "^target=1: must be"),
        ({"target": float("nan")}, "^target=nan: must be"),
        ({"target": "4"}, "^target='4': must be"),
        ({"target": 1e6}, "^target.ratio=1e.06: "),
        ({"steps": 0}, "^steps=0: must be"),
        ({"steps": 2.5}, "^steps=2.5: must be"),
        ({"steps": 5}, "^schedule: 8 rounds do not fit"),
        ({"schedule": ScheduleConfig(shape="cubic", every="epoch")}, "^schedule.every=epoch"),
        ({"schedule": ScheduleConfig(every="1"), "steps": 10**5}, "^schedule: makes 100,000"),
        ({"model": 3}, "^model: is of type int"),
        ({"model": nn.Linear(2, 2)}, "^model: is of type Linear"),
        ({"model": "nowhere"}, "^model=nowhere: no such folder"),
    ],
)
def test_rejected(
    classifier: BertForSequenceClassification, given: dict[str, Any], match: str
) -> None:
    given = {"model": classifier, "target": 4, "steps": STEPS} | given
    with pytest.raises(lada.LadaError, match=match) as caught:
        lada.prepare(**given)
    assert "\n" not in str(caught.value)


def test_models_that_cannot_be_compressed(classifier: BertForSequenceClassification) -> None:
    compressed = lada.prepare(classifier, target=4, steps=STEPS).model
    for model, match in (
        (copy.deepcopy(classifier).half(), "float16.*model.float()"),
        (compressed, "already compressed"),
    ):
        with pytest.raises(lada.LadaError, match=match):
            lada.prepare(model, target=4, steps=STEPS)
    with torch.no_grad():
        classifier.classifier.weight[0, 0] = float("nan")
    with pytest.raises(lada.LadaError, match=r"classifier\.weight has NaN"):
        lada.prepare(classifier, target=4, steps=STEPS)


def test_settings_reach_the_plan(classifier: BertForSequenceClassification) -> None:
    cubic = lada.prepare(
        classifier,
        target=4,
        steps=STEPS,
        method=LadaSettings(threshold="global", lower_rank="refactorize"),
        ratios=RatiosConfig(rule="fast"),
        schedule=ScheduleConfig(shape="cubic", every="5", recovery=0.25),
    )
    assert cubic.at == (0, 5, 10, 15)
    assert cubic.plan.fractions is not None
    assert cubic.plan.fractions.density == 1.0
    plain = lada.prepare(classifier, target=4, steps=STEPS)
    assert plain.at[0] == 0 and plain.at[-1] == 12 and len(plain.at) == 8
    assert plain.plan.rounds[-1].ratio == pytest.approx(4, rel=0.005)


@pytest.mark.parametrize("family", ["roberta", "modernbert", "mpnet", "albert"])
def test_a_classifier_of_another_family(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = tiny(family, vocab_size=400)
    teacher.save_pretrained(tmp_path)
    with caplog.at_level("WARNING", logger="lada"):
        compression = lada.prepare(tmp_path, target=3, steps=STEPS)
    left_out = [r.getMessage() for r in caplog.records if "leaves out" in r.getMessage()]
    assert len(left_out) == (family == "mpnet")
    optimizer = torch.optim.AdamW(compression.model.parameters(), lr=1e-3)
    for step in range(STEPS):
        compression.before_step(step, optimizer)
        loss = compression.distillation_loss(family_batch(teacher), teacher=teacher)
        loss.backward()
        compression.after_backward()
        optimizer.step()
        optimizer.zero_grad()
    assert compression.finished
    compression.check()


@pytest.mark.parametrize("method", ["lada", "kd", "pruning"])
def test_a_model_of_words_with_tags(method: str) -> None:
    """Its loss is a mean over the words' first tokens, by hand; other tokens count nothing."""
    teacher = tiny("roberta", "AutoModelForTokenClassification", ("O", "B-X"), vocab_size=400)
    compression = lada.prepare(teacher, target=2.0, steps=20, method=method)
    compression.before_step(0)
    given = family_batch(teacher)
    labels = torch.where(given["attention_mask"] == 1, 1, -100)
    labels[:, 0] = -100
    student = compression.model.eval()
    loss = compression.distillation_loss({**given, "labels": labels}, teacher=teacher)
    assert bool(torch.isfinite(loss))
    if method == "pruning":
        logits = student(given["input_ids"], given["attention_mask"]).logits.flatten(0, 1)
        expected = nn.functional.cross_entropy(logits, labels.flatten())
        torch.testing.assert_close(loss, expected)
