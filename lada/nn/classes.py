"""The classes in the config.json of a fine-tuned folder, and their match with those of a task."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lada.errors import LadaError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

SINGLE_LABEL, MULTI_LABEL, REGRESSION = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)
"""What a config may call its problem (``problem_type``)."""


@dataclass(frozen=True)
class Fit:
    """The match of a classifier's outputs with a task's classes.

    Attributes:
        order: for each class of the task, the output of the classifier.
        labels: the names to use, by class of the task.
        by_ids: the task's labels are the classifier's ids; the names are the classifier's.
        by_position: the names do not match: output i is taken as class i.
    """

    order: tuple[int, ...]
    labels: tuple[str, ...]
    by_ids: bool = False
    by_position: bool = False


def fit_classes(
    where: str,
    config: Mapping[str, Any],
    outputs: int,
    labels: Sequence[str],
    problem: str = SINGLE_LABEL,
) -> Fit:
    """Match the outputs of a classifier with the classes of a task.

    Args:
        where: the beginning of messages: ``key=folder``.
        config: its config.json.
        outputs: outputs of its classification layer.
        labels: the task's, by class id.
        problem: what the task is, as a config calls it.

    Raises:
        LadaError: it is of another problem, its config contradicts itself or its
            weights, or its classes are not those of the task.
    """
    told = config.get("problem_type")
    # Many classifiers do not say which; a single output can only be a number.
    if told not in ((None, problem) if problem != MULTI_LABEL else (problem,)):
        raise LadaError(
            f"{where}: problem_type is {told!r}, and the task is {problem}. Give a teacher of "
            f"{problem}, or set task.kind."
        )
    if problem == REGRESSION:
        if outputs != 1:
            raise LadaError(
                f"{where}: its head has {outputs} outputs, and task.kind=regression learns one "
                "number. Give a teacher with num_labels=1."
            )
        return Fit((0,), tuple(labels))
    if outputs == 1:
        raise LadaError(
            f"{where}: its classifier has a single output (num_labels=1, regression). Give a "
            f"teacher with {len(labels)} outputs, or set task.kind=regression."
        )
    names, named = _names(where, config)
    if names is not None and len(names) != outputs:
        raise LadaError(
            f"{where}: its config.json numbers {len(names)} classes ({_listed(names)}), its "
            f"classifier has {outputs} outputs. Correct id2label and label2id."
        )
    if outputs != len(labels):
        known = f" ({_listed(names)})" if names is not None and named else ""
        raise LadaError(
            f"{where}: it has {outputs} classes{known}, the task's are {len(labels)}: "
            f"{_listed(labels)}. Give a teacher of this task."
        )
    if names is not None:
        order = _by_name(names, labels)
        if order is not None:
            return Fit(order, tuple(labels))
    ids = _ids(labels)
    if names is not None and named:
        if ids is None:
            raise LadaError(
                f"{where}: its classes are {_listed(names)}, the task's are {_listed(labels)}. "
                f"Give a teacher of this task, or labels that are its ids 0..{outputs - 1}."
            )
        return Fit(ids, tuple(names[i] for i in ids), by_ids=True)
    if names is not None and _ids(names) != tuple(range(outputs)):
        raise LadaError(
            f"{where}: its config.json numbers the classes out of order ({_listed(names)}). "
            "Correct id2label and label2id."
        )
    return Fit(ids or tuple(range(outputs)), tuple(labels), by_position=True)


def _names(where: str, config: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, bool]:
    """Names by output, or None, and whether they are more than numbers."""
    by_id, by_label = (
        None if config.get(key) in (None, {}) else read(where, config[key])
        for key, read in (("id2label", _from_id2label), ("label2id", _from_label2id))
    )
    telling = [x for x in (by_id, by_label) if x is not None and not _are_numbers(x)]
    if len(telling) == 2 and list(map(plain_label, telling[0])) != list(
        map(plain_label, telling[1])
    ):
        raise LadaError(
            f"{where}: its config.json contradicts itself: by id2label the classes are "
            f"{_listed(telling[0])}, by label2id {_listed(telling[1])}. Correct the wrong one."
        )
    if telling:
        return telling[0], True
    return (by_id if by_id is not None else by_label), False


def _from_id2label(where: str, stored: Any) -> tuple[str, ...]:
    found: dict[int, Any] = {}
    if isinstance(stored, dict):
        found = {int(k): v for k, v in stored.items() if re.fullmatch(r"0|[1-9][0-9]{0,6}", k)}
    if not isinstance(stored, dict) or sorted(found) != list(range(len(stored))):
        raise LadaError(_unreadable(where, "id2label", stored))
    names = tuple(found[i] for i in range(len(found)))
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise LadaError(_unreadable(where, "id2label", stored))
    if len(set(names)) < len(names):
        raise LadaError(_unreadable(where, "id2label", stored))
    return names


def _from_label2id(where: str, stored: Any) -> tuple[str, ...]:
    if (
        not isinstance(stored, dict)
        or not all(type(i) is int for i in stored.values())  # True and 1.0 equal 1
        or sorted(stored.values()) != list(range(len(stored)))
        or not all(name.strip() for name in stored)
    ):
        raise LadaError(_unreadable(where, "label2id", stored))
    return tuple(sorted(stored, key=stored.__getitem__))


def _unreadable(where: str, key: str, stored: Any) -> str:
    shape = '{"0": "name", "1": ...}' if key == "id2label" else '{"name": 0, ...: 1}'
    shown = " ".join(repr(stored).split())
    shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
    return (
        f"{where}: {key} in its config.json is {shown}, which does not number distinct classes "
        f"from 0. Give {shape}."
    )


def _are_numbers(names: Sequence[str]) -> bool:
    """Whether the names are only numbers of the outputs: LABEL_0, LABEL_1; or 0, 1."""
    if all(_LABEL.fullmatch(name) for name in names):
        return True
    return list(names) == [str(i) for i in range(len(names))]


_LABEL = re.compile(r"label_?([0-9]{1,7})", re.IGNORECASE)


def _ids(labels: Sequence[str]) -> tuple[int, ...] | None:
    """The labels as numbers (0, 1, ...; or LABEL_0, ...), if they are numbered from 0."""
    found = []
    for label in labels:
        match = _LABEL.fullmatch(label) or re.fullmatch(r"(0|[1-9][0-9]{0,6})", label)
        if match is None:
            return None
        found.append(int(match[1]))
    return tuple(found) if sorted(found) == list(range(len(labels))) else None


def _by_name(names: Sequence[str], labels: Sequence[str]) -> tuple[int, ...] | None:
    """For each label the index of its name: exact, else without case and punctuation."""
    for form in (str, plain_label):
        places = {form(name): i for i, name in enumerate(names)}
        wanted = [form(label) for label in labels]
        if len(places) == len(names) and set(wanted) == set(places):
            return tuple(places[label] for label in wanted)
    return None


def class_count(config: "PreTrainedConfig") -> int:
    """How many classes a model of this config tells apart."""
    assert config.id2label is not None  # transformers numbers two classes where none are given
    return len(config.id2label)


def class_names(config: "PreTrainedConfig") -> tuple[str, ...]:
    """The names of a config's classes, by class id."""
    assert config.id2label is not None
    by_id = {int(i): name for i, name in config.id2label.items()}
    return tuple(by_id[i] for i in range(len(by_id)))


def plain_label(label: str) -> str:
    """A label without case, spaces and punctuation."""
    return "".join(c for c in label.lower() if c.isalnum())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(" ".join(name.split()) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
