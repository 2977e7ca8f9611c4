"""A tiny model of every family and kind of task, compressed and stored, for tests of all pairs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from families import tiny
from torch import Tensor
from transformers import PreTrainedModel, pipeline
from vocabularies import MAKERS

import lada
from lada.artifact.engine import outputs_of
from lada.heads import head_named
from lada.heads.kinds import KINDS
from lada.methods.groups import ScheduleConfig
from lada.nn.compressed import compressed_layers
from lada.predict import answered

STEPS = 8
TARGET = 3.0
TEXTS = ("the soup was not bad", "Caf 12", "a known soup, the bad", "not the soup?")
LABELS = {
    "single_label": ("bad", "good"),
    "multi_label": ("sun", "rain", "snow"),
    "regression": ("score",),
    "tokens": ("O", "B-LOC", "I-LOC"),
}
"""By kind; the others have none."""


def rows_of(kind: str) -> list[tuple[str, str | None]]:
    """The texts, or for question answering questions with contexts."""
    contexts = reversed(TEXTS) if kind == "spans" else [None] * len(TEXTS)
    return list(zip(TEXTS, contexts, strict=True))


def listed(kind: str) -> tuple[list[str], list[str] | None]:
    """The first texts, and the second ones."""
    rows = rows_of(kind)
    return [text for text, _ in rows], [pair for _, pair in rows if pair is not None] or None


SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}


@dataclass(frozen=True)
class Pair:
    """A student and its artifact.

    Attributes:
        given: a batch of texts, as the model takes it.
        expected: the student's outputs for it.
    """

    family: str
    kind: str
    compression: lada.Compression
    teacher: PreTrainedModel
    folder: Path
    given: dict[str, Tensor]
    expected: Tensor


def make_pair(family: str, kind: str, folder: Path) -> Pair:
    """Eight steps of `lada` with all terms that the family has, stored with fp32 values."""
    tokenizer = MAKERS[family][1]()
    labels = LABELS.get(kind, ())
    teacher = tiny(family, KINDS[kind].auto, labels, vocab_size=len(tokenizer), **SIZES)
    teacher.config.problem_type = KINDS[kind].problem
    if kind == "embedding" and hasattr(teacher, "pooler"):
        teacher.pooler = None  # as encoders of text vectors are loaded
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        for p in teacher.parameters():
            if p.dim() > 1:
                p.normal_(std=0.2)  # outputs that differ from text to text, as real ones do
    made = lada.prepare(teacher, target=TARGET, steps=STEPS, schedule=ScheduleConfig(rounds=4))
    student = made.model
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    for step in range(STEPS):
        made.before_step(step, optimizer)
        batch = dict(tokenizer(*listed(kind), padding=True, return_tensors="pt"))
        if KINDS[kind].auto == "AutoModelForTokenClassification":
            batch["labels"] = torch.where(batch["attention_mask"] == 1, 0, -100)
        made.distillation_loss(batch, teacher=teacher).backward()
        made.after_backward()
        optimizer.step()
        optimizer.zero_grad()
    student.eval()
    head = head_named(kind, labels)
    about = {"kind": kind, "max_length": 32, "pairs": kind == "spans", **head.about()}
    lada.save(student, tokenizer, folder, about, values="fp32")
    given = dict(lada.load(folder).tokens(*listed(kind)))
    with torch.no_grad():
        return Pair(family, kind, made, teacher, folder, given, outputs_of(student(**given)))


def check_sizes(pair: Pair) -> None:
    """The target is met within half a percent, and pruned entries are exactly zero."""
    made = pair.compression
    assert made.finished
    dense = sum(p.numel() for p in pair.teacher.parameters())
    total, inside = 0, set()
    for layer in compressed_layers(made.model).values():
        for part, mask in layer.masks.items():
            inside.add(id(getattr(layer, part)))
            total += int(layer.active(mask).sum())
            assert not layer.active(part)[~layer.active(mask)].any()
    total += sum(p.numel() for p in made.model.parameters() if id(p) not in inside)
    assert TARGET * 0.995 <= dense / total <= TARGET * 1.005, dense / total


def check_stored(pair: Pair) -> None:
    """The Auto class reads the artifact, which gives the student's outputs.

    Not bit for bit: the student has columns beyond its active ranks, and products of other strides
    are summed in another order.
    """
    auto = getattr(transformers, KINDS[pair.kind].auto)
    model = auto.from_pretrained(pair.folder)
    with torch.no_grad():
        found = outputs_of(model(**pair.given))
    torch.testing.assert_close(found, pair.expected, atol=1e-5, rtol=1e-5)
    assert len({tuple(each.flatten().tolist()) for each in found}) == len(TEXTS)


def check_answers(pair: Pair) -> None:
    """`lada predict` answers as `lada.load`, and as transformers' pipeline of the kind."""
    loaded = lada.load(pair.folder)
    answers = loaded.classify(*listed(pair.kind))
    rows = enumerate(rows_of(pair.kind))
    found = [answer for _, answer in answered(loaded, rows)]
    assert all(map(_equal, found, answers))
    if not KINDS[pair.kind].pipeline:  # transformers 5 has none for question answering
        assert all(TEXTS[-1 - n][a.start : a.end] == a.text for n, a in enumerate(answers))
        return
    piped = pipeline(KINDS[pair.kind].pipeline, str(pair.folder), **PIPED.get(pair.kind, {}))
    for text, answer in zip(TEXTS, answers, strict=True):
        SAME[pair.kind](piped(text), answer)


def _equal(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other


def _same_label(piped: Any, answer: Any) -> None:
    assert piped[0]["label"] == answer.label
    assert abs(piped[0]["score"] - answer.probability) < 1e-5


def _same_labels(piped: Any, answer: Any) -> None:
    given = {one["label"] for one in piped[0] if one["score"] >= 0.5}
    assert given == set(answer.names)


def _same_number(piped: Any, answer: Any) -> None:
    assert abs(piped[0]["score"] - float(answer)) < 1e-5


def _same_entities(piped: Any, answer: Any) -> None:
    # A token may begin at the space before its word, and tokens inside words count for nothing.
    tagged = [range(one["start"], one["end"] + 1) for one in piped if one["entity"] != "O"]
    assert all(any(each.start in place for place in tagged) for each in answer.entities)


def _same_vector(piped: Any, answer: Any) -> None:
    mean = np.asarray(piped[0]).mean(0)
    np.testing.assert_allclose(mean / np.linalg.norm(mean), answer, atol=1e-5)


PIPED: dict[str, dict[str, Any]] = {"multi_label": {"top_k": None}}
SAME = {
    "single_label": _same_label,
    "multi_label": _same_labels,
    "regression": _same_number,
    "tokens": _same_entities,
    "embedding": _same_vector,
}
"""By kind: how the pipeline's answer is that of `lada.load`."""
