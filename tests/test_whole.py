"""Runs and loops with ``method.whole=trimmed``: what stays whole in the paper is made smaller."""

from collections.abc import Callable
from pathlib import Path

import families
import pytest
import torch
import transformers
from helpers import Result, record_of, run_in, small_bert
from stopped import check_resumed
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

import lada
from lada.artifact.classes import class_for
from lada.artifact.expected import expected_bytes
from lada.artifact.export import write_form
from lada.artifact.inspect import inspect
from lada.artifact.model import config_of, write_model
from lada.bench import Settings, bench
from lada.methods.factorization import FactorizationSettings
from lada.methods.groups import ScheduleConfig
from lada.methods.lada import LadaSettings
from lada.methods.pruning_kd import PruningKdSettings
from lada.nn.compressed import compressed_layers
from lada.nn.families import FAMILIES, family_of, usable_positions
from lada.nn.pretrained import load_tokenizer
from lada.ops.plan import Plan

Cli = Callable[..., Result]
LENGTH = 12
TRIMMED = ["method.whole=trimmed", "task.max_length=16"]
POOLER = "bert.pooler.dense"


def given(model: PreTrainedModel, length: int = LENGTH) -> dict[str, torch.Tensor]:
    found = families.batch(model, length=length)
    if not family_of(model.config).types:
        del found["token_type_ids"]
    return found


def nonzeros(model: nn.Module) -> int:
    """Unpruned entries of compressed layers, and all of the rest."""
    layers = compressed_layers(model).values()
    inside = {id(getattr(layer, part)) for layer in layers for part in layer.masks}
    others = sum(p.numel() for p in model.parameters() if id(p) not in inside)
    return others + sum(layer.kept for layer in layers)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "albert", "electra", "ernie"])
@pytest.mark.parametrize("method", [LadaSettings, PruningKdSettings, FactorizationSettings])
def test_students_of_families(family: str, method: type[LadaSettings], tmp_path: Path) -> None:
    """The target counts all of the teacher; the file, its dense form and its config are of it."""
    teacher = families.tiny(family, vocab_size=300).train()
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    positions = teacher.config.max_position_embeddings
    made = lada.prepare(
        teacher,
        target=2,
        steps=8,
        method=method(whole="trimmed"),
        schedule=ScheduleConfig(rounds=2),
        max_length=LENGTH,
    )
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=1e-3)
    for step in range(8):
        made.before_step(step, optimizer)
        labelled = given(teacher) | {"labels": torch.tensor([0, 1, 1])}
        made.distillation_loss(labelled, teacher=teacher).backward()
        made.after_backward()
        optimizer.step()
        optimizer.zero_grad()
    assert teacher.config.max_position_embeddings == positions
    assert all(torch.equal(before[name], t) for name, t in teacher.state_dict().items())
    student = made.model.eval()
    assert usable_positions(student.config) == LENGTH
    total = sum(p.numel() for p in teacher.parameters())
    assert nonzeros(student) == made.plan.rounds[-1].nonzeros
    assert total / nonzeros(student) == pytest.approx(2, rel=0.05)  # a rank is much of so little
    poolers = [name for name in compressed_layers(student) if "pooler" in name]
    assert len(poolers) == (family in ("bert", "albert", "ernie"))

    config = config_of(student, "fp32", {"max_length": LENGTH})
    assert config.max_position_embeddings == LENGTH + FAMILIES[family].offset
    (tmp_path / "a").mkdir()
    write_model(tmp_path / "a", student, config)
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path / "a")
    assert type(read) is class_for(student)
    inputs = given(student)
    with torch.no_grad():
        torch.testing.assert_close(
            read(**inputs).logits, student(**inputs).logits, atol=1e-6, rtol=1e-5
        )  # rounded otherwise, since its factors have no columns beyond their rank
    (tmp_path / "dense").mkdir()
    _, run = write_form(read, "dense", tmp_path / "dense", int8=False, batches=[inputs])
    torch.testing.assert_close(run(inputs), student(**inputs).logits, atol=1e-5, rtol=1e-4)
    plain = transformers.AutoConfig.from_pretrained(tmp_path / "dense")
    assert (plain.model_type, usable_positions(plain)) == (family, LENGTH)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_exports(family: str, form: str, tmp_path: Path) -> None:
    """At the length of the table, too."""
    made = lada.prepare(
        families.tiny(family, vocab_size=300),
        target=2,
        steps=8,
        method=LadaSettings(whole="trimmed"),
        schedule=ScheduleConfig(rounds=1),
        max_length=LENGTH,
    )
    made.before_step(0)
    student = made.model.eval()
    model = class_for(student)(config_of(student, "fp32", {"max_length": LENGTH}))
    model.load_state_dict(student.state_dict())
    shorter = given(model, 7)
    _, run = write_form(model.eval(), form, tmp_path, int8=False, batches=[shorter])
    for inputs in (shorter, given(model)):
        with torch.no_grad():
            assert (run(inputs) - model(**inputs).logits).abs().max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["method.factorizer=whitened", "method.score=activation"],
        ["method=pruning_kd", "method.score=activation"],
    ],
    ids=["lada", "pruning_kd"],
)
def test_stopped_and_resumed(
    words: list[str], train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    """It ends bit-equal, and the artifact is used as any other."""
    args = [*(word for word in tiny if not word.startswith("task.max_length")), *words, *TRIMMED]
    check_resumed(train_py, args, tmp_path)
    check_record(tmp_path / "whole")
    artifact = run_in(tmp_path / "whole") / "artifact"
    check_answers(artifact)
    check_against_teacher(artifact, tmp_path / "whole/teachers")
    check_further_training(artifact, tmp_path / "more")


def check_record(folder: Path) -> None:
    record, artifact = record_of(folder), run_in(folder) / "artifact"
    width = lada.load(artifact).model.config.hidden_size
    trimmed = {"positions": 16, "removed": (128 - 16) * width, "pooler": True}
    assert record["trimmed"] == trimmed
    assert record["reached"] == record["teacher"]["parameters"] / record["artifact"]["nonzeros"]
    assert record["reached"] == pytest.approx(5, rel=0.02)
    card = (artifact / "README.md").read_text()
    assert "Its position embeddings are cut to 16 tokens.\n" in card
    assert "Its pooler is compressed as the matrices of the encoder are.\n" in card


def check_answers(artifact: Path) -> None:
    """A longer text is truncated, by all who read the folder."""
    classifier = lada.load(artifact)
    assert classifier.model.config.max_position_embeddings == 16
    assert classifier.tokenizer.model_max_length == 16
    assert POOLER in compressed_layers(classifier.model)
    answer = classifier("a lovely soup " * 100)
    piped = transformers.pipeline("text-classification", model=str(artifact))
    (found,) = piped("a lovely soup " * 100, truncation=True)
    assert found["label"] == answer.label
    assert found["score"] == pytest.approx(answer.probability, abs=1e-5)


def check_against_teacher(artifact: Path, teachers: Path) -> None:
    (weights,) = teachers.rglob("model.safetensors")
    teacher = AutoModelForSequenceClassification.from_pretrained(weights.parent)
    parts = {part.name: part for part in inspect(artifact, teacher)}
    assert parts["bert.embeddings.position_embeddings.weight"].shape[0] == 16
    errors = [parts[name].error for name in (POOLER, "bert.embeddings.position_embeddings.weight")]
    assert all(error is not None and 0 < error < 1.5 for error in errors)
    settings = Settings(("torch",), lengths=(16,), threads=(1,), repeats=1)
    rows = bench(artifact, weights.parent, settings, lambda _: None)["rows"]
    assert {row["model"] for row in rows} == {"artifact", "dense"}
    with pytest.raises(lada.LadaError, match="--lengths 17: the model has 16 positions"):
        bench(artifact, weights.parent, Settings(("torch",), (17,)), lambda _: None)


def check_further_training(artifact: Path, folder: Path) -> None:
    """What is pruned, in the pooler too, stays zero."""
    model = AutoModelForSequenceClassification.from_pretrained(artifact).train()
    layers, pooler = compressed_layers(model), model.get_submodule(POOLER).product().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(3):
        model(**given(model), labels=torch.tensor([0, 1, 1])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.equal(model.get_submodule(POOLER).product(), pooler)
    assert not any(layer.revived(p) for layer in layers.values() for p in layer.masks)
    model.save_pretrained(folder)
    again = AutoModelForSequenceClassification.from_pretrained(folder)
    assert again.config.max_position_embeddings == 16


def test_the_default_is_the_paper_s() -> None:
    """Trimmed, the same target leaves more of word embeddings and encoder."""
    teacher = small_bert()

    def plan(settings: LadaSettings, **more: int) -> Plan:
        return lada.prepare(teacher, target=5, steps=20, method=settings, **more).plan

    paper = plan(LadaSettings())
    assert plan(LadaSettings(whole="paper")) == paper
    assert not any("pooler" in share.name for share in paper.rounds[-1].shares)
    trimmed = plan(LadaSettings(whole="trimmed"), max_length=LENGTH)
    assert trimmed.total == paper.total
    assert trimmed.rounds[-1].nonzeros == pytest.approx(paper.rounds[-1].nonzeros, rel=0.01)
    assert trimmed.fractions is not None and paper.fractions is not None
    assert trimmed.fractions.hybrid > paper.fractions.hybrid
    assert trimmed.fractions.embedding > paper.fractions.embedding


def test_what_cannot_be_trimmed_is_told(train_py: Cli, tiny: list[str]) -> None:
    teacher, settings = small_bert(), LadaSettings(whole="trimmed")
    with pytest.raises(lada.LadaError, match=r"is not known. Give lada.prepare\(max_length="):
        lada.prepare(teacher, target=2, steps=20, method=settings)
    for wrong in (1, 33, True, 8.0):
        with pytest.raises(lada.LadaError, match=f"max_length={wrong}: .* from 2 to 32, the pos"):
            lada.prepare(teacher, target=2, steps=20, method=settings, max_length=wrong)
    with pytest.raises(lada.LadaError, match="max_length: is not used by these settings"):
        lada.prepare(teacher, target=2, steps=20, max_length=8)
    rows = {"modernbert": 48, "deberta-v2": 12, "roberta": 48}
    for family, length in rows.items():
        # Nothing to trim: the same as with all of it.
        found = lada.prepare(families.tiny(family), target=2, steps=20, method=settings,
                             max_length=length)  # fmt: skip
        assert found.plan == lada.prepare(families.tiny(family), target=2, steps=20).plan
    done = train_py(*tiny, "method=kd", "target=none", "method.whole=trimmed")
    assert done.code == 2 and "method.whole" in done.err


@pytest.mark.parametrize("method", [LadaSettings, PruningKdSettings, FactorizationSettings])
def test_smaller_than_the_target_by_itself(method: type[LadaSettings]) -> None:
    """A target just above what the cut alone makes is met, one below is rejected."""
    teacher = families.tiny("bert", vocab_size=300, max_position_embeddings=400)
    total = sum(p.numel() for p in teacher.parameters())
    alone = total / (total - (400 - LENGTH) * 16)

    def ratio(target: float) -> float:
        made = lada.prepare(
            teacher, target=target, steps=20, method=method(whole="trimmed"), max_length=LENGTH
        )
        return made.plan.rounds[-1].ratio

    with pytest.raises(lada.LadaError, match=r"ratio=1\.2: the student is x1\.\d+ before a matrix"):
        ratio(1.2)
    assert ratio(alone * 1.1) == pytest.approx(alone * 1.1, rel=0.02)


def test_the_expected_size_of_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher, settings = small_bert(), LadaSettings(whole="trimmed")
    made = lada.prepare(teacher, target=3, steps=20, method=settings, max_length=LENGTH)
    for step in range(20):
        made.before_step(step)
    about = {"max_length": LENGTH}
    lada.save(made.model, load_tokenizer(None, ["a b"]), tmp_path / "x", about)
    size = (tmp_path / "x/model.safetensors").stat().st_size
    assert expected_bytes(made.plan, teacher, "int8") == pytest.approx(size, rel=0.15)


def test_a_file_for_longer_texts_is_rejected(tmp_path: Path) -> None:
    made = lada.prepare(
        small_bert(), target=2, steps=20, method=LadaSettings(whole="trimmed"), max_length=LENGTH
    )
    for step in range(20):
        made.before_step(step)
    tokenizer = load_tokenizer(None, ["a b"])
    with pytest.raises(lada.LadaError, match=r"max_length 13 is outside 2\.\.12, the pos"):
        lada.save(made.model, tokenizer, tmp_path / "x", {"max_length": 13, "pairs": False})
    lada.save(made.model, tokenizer, tmp_path / "x", {"pairs": False})
    assert lada.load(tmp_path / "x").tokenizer.model_max_length == LENGTH
    assert lada.load(tmp_path / "x")("a b " * 30).label in ("bad", "good")


def test_a_longer_text_is_read_by_windows(tmp_path: Path) -> None:
    """Each word has a tag, also those beyond the positions; a model of words has no pooler."""
    teacher = families.tiny(
        "bert", "AutoModelForTokenClassification", ("O", "B-X"), vocab_size=2000
    )
    made = lada.prepare(
        teacher, target=2, steps=20, method=LadaSettings(whole="trimmed"), max_length=LENGTH
    )
    for step in range(20):
        made.before_step(step)
    head = made.model.get_submodule("classifier")
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.0, 1.0]))  # every word is an X
    tokenizer = load_tokenizer(None, ["a b c"])
    about = {"max_length": LENGTH, "pairs": False, "kind": "tokens"}
    lada.save(made.model.eval(), tokenizer, tmp_path / "x", about)
    found = lada.load(tmp_path / "x")
    assert found.model.config.max_position_embeddings == LENGTH
    assert len(found("a b c " * 20).entities) == 60
