"""A model that is no better than the largest class is told as such; no other is."""

import re

import pytest

from lada.heads.kinds import METRICS
from lada.report.majority import chance_corrected, is_uneven, verdict, warnings


def score(examples: list[int], answers: list[int], accuracy: float, p_value: float = 1.0) -> dict:
    largest = max(range(len(examples)), key=lambda n: examples[n])
    share = examples[largest] / sum(examples)
    majority = {"class": largest, "accuracy": share, "p_value": p_value}
    return {"examples": examples, "answers": answers, "accuracy": accuracy, "majority": majority,
            "mcc": 0.25, "macro_f1": 0.5}  # fmt: skip


@pytest.mark.parametrize(
    ("examples", "uneven"),
    [
        ([50, 50], False),
        ([45, 55], False),  # 5 points above a half: not above it by more
        ([44, 56], True),
        ([322, 721], True),  # CoLA's dev
        ([3479, 3123, 3213], False),  # MNLI's
        ([38, 31, 31], False),
        ([39, 31, 30], True),
        ([16, 14, 14, 14, 14, 14, 14], False),
        ([20, 14, 13, 13, 13, 13, 14], True),
        ([0, 10], True),
    ],
)
def test_uneven_is_five_points_above_even(examples: list[int], uneven: bool) -> None:
    assert is_uneven(score(examples, examples, 0.9, 0.0)) == uneven


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (score([30, 70], [0, 100], 0.7), 'answers "good", the largest class, for every example'),
        (score([70, 30], [100, 0], 0.7), 'answers "bad", the largest class, for every example'),
        (score([30, 70], [100, 0], 0.3, 1e-9), 'answers "bad" for every example'),
        (score([50, 50], [0, 100], 0.5), 'answers "good", the largest class, for every example'),
        (
            score([30, 70], [5, 95], 0.71, 0.8),
            "is not significantly more accurate than always answering",
        ),
        (score([50, 50], [40, 60], 0.55, 0.06), "is not significantly more accurate than"),
        (score([30, 70], [5, 95], 0.7), "is not more accurate than always answering"),
        (score([30, 70], [5, 95], 0.68, 0.8), "is not more accurate than always answering"),
        (score([30, 70], [60, 40], 0.4, 1e-6), "is less accurate than always answering"),
    ],
)
def test_what_is_said(given: dict, said: str) -> None:
    line = verdict(given, ["bad", "good"])
    assert line.startswith(said)
    if "always" in said:
        share = 100 * given["majority"]["accuracy"]
        assert f"({share:.1f} %; McNemar's exact test, p " in line


@pytest.mark.parametrize("accuracy", [0.75, 0.9, 1.0])
def test_nothing_is_said_of_a_better_one(accuracy: float) -> None:
    assert verdict(score([30, 70], [31, 69], accuracy, 0.049), ["bad", "good"]) == ""


def test_small_p_values_are_bounded() -> None:
    line = verdict(score([30, 70], [60, 40], 0.4, 1e-12), None)
    assert "always answering class 1 (70.0 %" in line
    assert "p < 0.0001" in line


@pytest.mark.parametrize("name", ['a "b"', "two\nlines", "[bold]", "été", "|", "\x1b[31m"])
def test_names_are_the_users(name: str) -> None:
    line = verdict(score([30, 70], [0, 100], 0.7), ["bad", name])
    assert not re.search(r"[\x00-\x1f]", line)


def test_a_line_for_each_model_and_split() -> None:
    constant, fine = score([3, 7], [0, 10], 0.7), score([30, 70], [30, 70], 0.99, 1e-9)
    found = warnings(
        {"artifact": {"a": constant, "b": constant}, "teacher": {"a": fine, "b": constant}},
        ["no", "yes"],
        METRICS["accuracy"],
    )
    assert [line.partition(" answers")[0] for line in found] == [
        "a: the artifact", "b: the artifact", "b: the teacher",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "low", "high", "said"),
    [
        ("pearson", -0.05, 0.21, "Pearson, 95 % interval -0.050 to 0.210"),
        ("entity_f1", 0.0, 0.0, "entity F1, 95 % interval 0.0-0.0 %"),
        ("pearson", 0.001, 0.21, ""),
        ("map", 0.3, 0.5, ""),
    ],
)
def test_where_examples_do_not_have_one_label_it_is_a_score_of_0(
    name: str, low: float, high: float, said: str
) -> None:
    found = warnings({"artifact": {"dev": {f"{name}_95": [low, high]}}}, None, METRICS[name])
    line = f"dev: the artifact has a score that is not significantly above 0 ({said})"
    assert found == ([line] if said else [])


def test_shown_where_it_matters() -> None:
    even = score([50, 50], [48, 52], 0.9, 1e-9)
    uneven = score([30, 70], [30, 70], 0.99, 1e-9)
    constant = score([50, 50], [0, 100], 0.5)
    old = {"accuracy": 0.9, "rows": 10, "correct": 9}
    assert chance_corrected([even, even]) == []
    assert chance_corrected([old, old]) == chance_corrected([uneven, old]) == []
    assert chance_corrected([uneven, uneven]) == [
        ("majority baseline %", ["70.0", "70.0"], False),
        ("Matthews correlation", ["0.250", "0.250"], True),
        ("macro-F1 %", ["50.0", "50.0"], True),
    ]
    assert chance_corrected([even, constant]) != []
    assert not is_uneven(old)
    assert verdict(old, None) == ""
