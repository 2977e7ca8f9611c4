"""The classes of a teacher: by whichever of its two maps names them, or rejected."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lada.errors import LadaError
from lada.nn.classes import fit_classes

TASK = ("negative", "neutral", "positive")


def by_id(*names: Any) -> dict[str, Any]:
    return {str(i): name for i, name in enumerate(names)}


def by_label(*names: str) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


STALE = by_label("LABEL_0", "LABEL_1", "LABEL_2")


def rejected(config: dict[str, Any], *parts: str, outputs: int = 3, labels: Any = TASK) -> None:
    with pytest.raises(LadaError) as caught:
        fit_classes("teacher.path=F", config, outputs, labels)
    line = str(caught.value)
    assert line.startswith("teacher.path=F: ")
    assert "\n" not in line
    assert len(line) < 700
    for part in parts:
        assert part in line


@pytest.mark.parametrize("order", list(permutations(TASK)))
@pytest.mark.parametrize(
    ("id2label", "label2id"),
    [
        (by_id, None),
        (by_id, {}),
        (by_id, STALE),
        (by_id, by_label("LABEL_0", "LABEL_1")),  # the default of transformers, of two classes
        (by_id, by_label("0", "1", "2")),
        (by_id, by_label),
        (None, by_label),
        ({}, by_label),
        (by_id("LABEL_0", "LABEL_1", "LABEL_2"), by_label),
        (by_id("0", "1", "2"), by_label),
        (by_id("label0", "label1", "label2"), by_label),
    ],
)
def test_whichever_names_them(order: tuple[str, ...], id2label: Any, label2id: Any) -> None:
    config = {
        key: value(*order) if callable(value) else value
        for key, value in (("id2label", id2label), ("label2id", label2id))
    }
    fit = fit_classes("teacher.path=F", config, 3, TASK)
    assert tuple(order[i] for i in fit.order) == TASK == fit.labels
    assert not fit.by_ids
    assert not fit.by_position


@pytest.mark.parametrize(
    ("theirs", "task"),
    [
        (("POSITIVE", "Negative", "neutral "), TASK),
        (("not-entailment", "Entailment"), ("entailment", "not_entailment")),
        (("non", "OUI"), ("Oui", "Non")),
        (("-1", "+1"), ("+1", "-1")),  # to the letter only: without signs they are one
        (("b", "B"), ("B", "b")),
        (("1", "0"), ("0", "1")),  # numbers as names, which say another order
        (("LABEL_1", "LABEL_0"), ("LABEL_0", "LABEL_1")),
        (("\u5426", "\u662f"), ("\u662f", "\u5426")),
    ],
)
def test_names_that_fit(theirs: tuple[str, ...], task: tuple[str, ...]) -> None:
    for config in ({"id2label": by_id(*theirs)}, {"label2id": by_label(*theirs)}):
        fit = fit_classes("teacher.path=F", config, len(task), task)
        assert fit.labels == task
        assert not (fit.by_ids or fit.by_position)
        for label, output in zip(task, fit.order, strict=True):
            assert theirs[output].strip().lower().replace("-", "_") in (
                label.lower(), label.lower().replace("-", "_"))  # fmt: skip


@pytest.mark.parametrize(
    ("id2label", "label2id"),
    [
        (by_id(*TASK), by_label(*reversed(TASK))),
        (by_id(*TASK), by_label("negative", "positive", "neutral")),
        (by_id(*TASK), by_label("no", "perhaps", "yes")),
        (by_id(*TASK), by_label("negative", "neutral")),
        (by_id("no", "perhaps", "yes"), by_label(*TASK)),
    ],
)
def test_a_contradiction_is_shown(id2label: Any, label2id: Any) -> None:
    both = (", ".join(id2label.values()), ", ".join(label2id))
    rejected({"id2label": id2label, "label2id": label2id}, "contradicts itself", *both)


def test_two_spellings_are_no_contradiction() -> None:
    config = {"id2label": by_id(*TASK), "label2id": by_label("NEGATIVE", "Neutral", "positive")}
    assert fit_classes("teacher.path=F", config, 3, TASK).order == (0, 1, 2)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"id2label": None, "label2id": None},
        {"id2label": {}, "label2id": {}},
        {"label2id": STALE},
        {"id2label": by_id("LABEL_0", "LABEL_1", "LABEL_2"), "label2id": STALE},
        {"id2label": by_id("0", "1", "2")},
    ],
)
def test_classes_that_neither_names_are_taken_by_position(config: dict[str, Any]) -> None:
    fit = fit_classes("teacher.path=F", config, 3, TASK)
    assert (fit.order, fit.labels, fit.by_position) == ((0, 1, 2), TASK, True)


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (("0", "1", "2"), (0, 1, 2)),
        (("LABEL_0", "LABEL_1", "LABEL_2"), (0, 1, 2)),
        (("LABEL_2", "LABEL_0", "LABEL_1"), (2, 0, 1)),
        (("2", "1", "0"), (2, 1, 0)),
    ],
)
def test_labels_that_are_numbers_are_its_ids(
    labels: tuple[str, ...], order: tuple[int, ...]
) -> None:
    names = ("happy", "sad", "angry")
    fit = fit_classes("teacher.path=F", {"id2label": by_id(*names)}, 3, labels)
    assert fit.by_ids
    assert fit.order == order
    assert fit.labels == tuple(names[i] for i in order)
    unnamed = fit_classes("teacher.path=F", {"label2id": STALE}, 3, labels)
    assert (unnamed.order, unnamed.labels) == (order, labels)


@pytest.mark.parametrize(
    "labels",
    [("1", "2", "3"), ("0", "1", "3"), ("-1", "0", "1"), ("0", "01", "2"), ("0", "1", "x")],
)
def test_numbers_that_are_no_ids(labels: tuple[str, ...]) -> None:
    rejected(
        {"id2label": by_id("a", "b", "c")}, "a, b, c", ", ".join(labels), "0..2", labels=labels
    )


@pytest.mark.parametrize(
    "label2id",
    [
        {"negative": 0.0, "neutral": 1.0, "positive": 2.0},
        {"negative": False, "neutral": True, "positive": 2},
        {"negative": "0", "neutral": "1", "positive": "2"},
        {"negative": 0, "neutral": 1, "positive": 1},
        {"negative": 0, "neutral": 1, "positive": 3},
        {"negative": -1, "neutral": 0, "positive": 1},
        {"negative": 1, "neutral": 2, "positive": 3},
        {"negative": None, "neutral": 1, "positive": 2},
        {"negative": [0], "neutral": 1, "positive": 2},
        {"": 0, "neutral": 1, "positive": 2},
        ["negative", "neutral", "positive"],
        "negative",
        3,
        True,
    ],
)
def test_a_label2id_that_numbers_nothing(label2id: Any) -> None:
    rejected({"label2id": label2id}, "label2id in its config.json")
    rejected({"label2id": label2id, "id2label": by_id(*TASK)}, "label2id in its config.json")


@pytest.mark.parametrize(
    "id2label",
    [
        {"0": "negative", "1": "neutral", "3": "positive"},
        {"1": "negative", "2": "neutral", "3": "positive"},
        {"0": "negative", "1": "neutral", "01": "positive"},
        {"0": "negative", "1": "neutral", "2.0": "positive"},
        {"0": "negative", "1": "neutral", " 2": "positive"},
        {"0": "negative", "1": "neutral", "\u0662": "positive"},
        {"0": "negative", "1": "neutral", "two": "positive"},
        {"0": "negative", "1": "neutral", "2" * 5000: "positive"},
        {"0": "negative", "1": "neutral", "2": "neutral"},
        by_id("negative", "neutral", 2),
        by_id("negative", "neutral", None),
        by_id("negative", "neutral", ["positive"]),
        by_id("negative", "neutral", "  "),
        by_id("negative", True, "positive"),
        ["negative", "neutral", "positive"],
        "negative",
        0,
        False,
    ],
)
def test_an_id2label_that_names_nothing(id2label: Any) -> None:
    rejected({"id2label": id2label}, "id2label in its config.json")


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression", "x", 3, True, []])
def test_other_problems_are_rejected(problem: Any) -> None:
    config = {"id2label": by_id(*TASK), "problem_type": problem}
    rejected(config, "problem_type", repr(problem))


def test_numbers_of_outputs() -> None:
    fit_classes("F", {"id2label": by_id(*TASK), "problem_type": "single_label_classification"}, 3,
                TASK)  # fmt: skip
    rejected({"id2label": by_id("LABEL_0")}, "single output", "num_labels=1", outputs=1)
    rejected({}, "single output", outputs=1)
    rejected({"id2label": by_id(*TASK)}, "3 classes", "4 outputs", outputs=4)
    rejected({"id2label": by_id(*"abcd")}, "4 classes (a, b, c, d)", "the task's are 3", outputs=4)
    rejected({}, "it has 2 classes", "the task's are 3", ", ".join(TASK), outputs=2)
    rejected({"label2id": by_label("LABEL_1", "LABEL_0", "LABEL_2")}, "out of order")


NAME = st.sampled_from([*TASK, "Negative", "LABEL_0", "LABEL_1", "label_2", "0", "1", "2", "", "x"])
VALUE = st.one_of(
    NAME, st.integers(-1, 4), st.booleans(), st.none(), st.floats(0, 2), st.just([]), st.just({})
)
MAP = st.one_of(
    st.dictionaries(st.one_of(NAME, st.text(max_size=2)), VALUE, max_size=4),
    st.permutations(TASK).map(lambda names: by_id(*names)),
    st.permutations(TASK).map(lambda names: by_label(*names)),
    st.permutations(["LABEL_0", "LABEL_1", "LABEL_2"]).map(lambda names: by_label(*names)),
    VALUE,
)


@given(
    st.fixed_dictionaries({}, optional={"id2label": MAP, "label2id": MAP, "problem_type": VALUE}),
    st.integers(1, 4),
    st.one_of(
        st.permutations(TASK), st.lists(NAME.filter(bool), min_size=2, max_size=4, unique=True)
    ),
)
def test_any_config_is_matched_or_rejected(
    config: dict[str, Any], outputs: int, labels: list[str]
) -> None:
    try:
        fit = fit_classes("teacher.path=F", config, outputs, labels)
    except LadaError:
        return
    assert sorted(fit.order) == list(range(len(labels)))
    assert len(set(fit.labels)) == len(labels) == outputs
    if fit.by_position or fit.by_ids:
        return
    # One of the maps gives each name the output that was taken for it.
    by_id, by_label = config.get("id2label") or {}, config.get("label2id") or {}
    maps = [{name: int(i) for i, name in by_id.items()}, by_label]
    taken = dict(zip(labels, fit.order, strict=True))
    lower = {label.lower(): i for label, i in taken.items()}
    assert any(m == taken or {name.lower(): i for name, i in m.items()} == lower for m in maps)
