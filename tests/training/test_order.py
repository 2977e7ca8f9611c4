"""The order of classes that a teacher's answers speak for, and what is said of it."""

import logging
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import small_bert
from numpy.typing import NDArray

from lada.data.tokens import Encoded
from lada.errors import LadaError
from lada.run.teacher import Teacher, _check_order
from lada.training.order import likely_order

NAMES = ("a", "b", "c")


def _logits(answers: NDArray[np.int64], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(answers), classes).float()


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_it_is_found(order: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 4, 200)
    answers = np.array(order)[labels]
    wrong = draw.random(200) < 0.2
    answers[wrong] = draw.integers(0, 4, int(wrong.sum()))
    found, accuracy = likely_order(_logits(answers, 4), labels)
    assert found == list(order)
    assert accuracy == np.mean(answers == np.array(order)[labels])


def test_where_nothing_speaks_for_another() -> None:
    labels = np.array([0, 0, 1, 2])
    assert likely_order(_logits(labels, 5), labels) == ([0, 1, 2, 3, 4], 1.0)
    # As often right as in another order: its own.
    assert likely_order(_logits(np.array([0, 1, 0, 1]), 2), np.array([0, 0, 1, 1]))[0] == [0, 1]


def _check(labels: NDArray[np.int64], answers: NDArray[np.int64], margin: float = 25) -> None:
    empty = np.zeros(0, dtype=np.int32)
    rows = Encoded(empty, np.zeros(len(labels) + 1, dtype=np.int64), empty, labels)
    logits = _logits(answers, 3)
    record = {"given": True, "validation": {"accuracy": float((answers == labels).mean())}}
    _check_order(Teacher(small_bert(), Path("F"), record), logits, rows, NAMES, margin)


LABELS = np.array([0] * 100 + [1] * 30 + [2] * 30)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ((1, 2, 0), "0.0 % on the validation split, but 100.0 %"),
        ((1, 0, 2), "b is a, a is b"),
        ((2, 1, 0), "c is a, a is c"),
    ],
)
def test_another_order_is_rejected(order: tuple[int, ...], said: str) -> None:
    with pytest.raises(LadaError, match=r"F: .*in another order") as caught:
        _check(LABELS, np.array(order)[LABELS])
    assert said in str(caught.value)
    assert "longer" not in str(caught.value)


def test_far_below_chance_is_rejected_whatever_the_margin() -> None:
    answers = np.array((1, 2, 0))[LABELS]
    answers[::3] = (LABELS[::3] + 2) % 3  # never right, and often not in the other order either
    with pytest.raises(LadaError, match=r"0\.0 %.*in another order"):
        _check(LABELS, answers, margin=90)


def test_two_small_classes_exchanged_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lada"):
        _check(LABELS, np.array((0, 2, 1))[LABELS], margin=0)
    assert "62.5 % on the validation split, but 100.0 %" in caplog.text
    assert "what it calls c is b, b is c" in caplog.text


def test_others_are_left_be(caplog: pytest.LogCaptureFixture) -> None:
    draw = np.random.default_rng(1)
    constant = np.zeros_like(LABELS)
    for answers in (LABELS, constant, constant + 2, draw.permutation(LABELS)):
        _check(LABELS, answers)
    assert caplog.text == ""
