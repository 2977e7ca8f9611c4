"""The losses of each kind against torch's own, and of a step that is cut into parts."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from heads.made import batch_of, examples_of
from torch import Tensor

from lada.heads import head_named
from lada.heads.base import Head
from lada.heads.regression import Regression

SINGLE = head_named("single_label", ("a", "b", "c"))
MULTI = head_named("multi_label", ("a", "b", "c"))
NUMBER = Regression(("score",), ("pearson",), scale=2.0)
RELEVANCE = Regression(("score",), ("map",), binary=True)


def drawn(head: Head, count: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs of a student and a teacher, and labels."""
    torch.manual_seed(0)
    student, teacher = torch.randn(2, count, head.width)
    if head.name == "single_label":
        return student, teacher, torch.randint(head.width, (count,))
    if head.name == "multi_label":
        return student, teacher, torch.randint(2, (count, head.width)).float()
    labels = torch.randint(2, (count,)).float() if head is RELEVANCE else torch.randn(count)
    return student, teacher, labels


HARD: dict[str, tuple[Head, Callable[[Tensor, Tensor], Tensor]]] = {
    "single_label": (SINGLE, F.cross_entropy),
    "multi_label": (MULTI, F.binary_cross_entropy_with_logits),
    "regression": (NUMBER, lambda s, y: F.mse_loss(s[:, 0] / 2.0, y / 2.0)),
    "relevance": (RELEVANCE, lambda s, y: F.binary_cross_entropy_with_logits(s[:, 0], y)),
}


@pytest.mark.parametrize("name", HARD)
def test_the_loss_from_labels_is_that_of_torch(name: str) -> None:
    head, reference = HARD[name]
    student, _, labels = drawn(head)
    torch.testing.assert_close(head.hard(student, batch_of(labels)), reference(student, labels))


@pytest.mark.parametrize("name", HARD)
def test_the_sum_over_examples_is_that_of_each(name: str) -> None:
    head, reference = HARD[name]
    student, _, labels = drawn(head)
    batch = batch_of(labels) | {"attention_mask": torch.ones(len(labels), 1)}
    each = [reference(student[i : i + 1], labels[i : i + 1]) for i in range(len(labels))]
    summed = head.summed(SimpleNamespace(logits=student), batch)
    torch.testing.assert_close(summed, torch.stack(each).sum())


@pytest.mark.parametrize("name", HARD)
def test_an_example_without_a_label_counts_nothing(name: str) -> None:
    head, reference = HARD[name]
    student, _, labels = drawn(head)
    without = labels.clone()
    without[3] = -100 if labels.dtype == torch.int64 else float("nan")
    kept = torch.arange(len(labels)) != 3
    student.requires_grad_(True)
    loss = head.hard(student, batch_of(without))
    expected = reference(student[kept], labels[kept]) * 7 / 8
    torch.testing.assert_close(loss, expected)
    loss.backward()  # NaN in a label must not reach a gradient
    assert student.grad is not None
    assert torch.isfinite(student.grad).all() and not student.grad[3].any()


@pytest.mark.parametrize("head", [SINGLE, MULTI, NUMBER], ids=lambda head: head.name)
@pytest.mark.parametrize("loss", ["hard", "soft", "squared"])
def test_parts_of_a_step_add_up_to_it(head: Head, loss: str) -> None:
    student, teacher, labels = drawn(head)

    def of(part: slice) -> Tensor:
        batch = batch_of(labels[part], total=len(labels))
        if loss == "hard":
            return head.hard(student[part], batch)
        if loss == "soft":
            return head.soft(student[part], teacher[part], batch, 1.0)
        return head.squared(student[part], teacher[part], batch)

    torch.testing.assert_close(of(slice(0, 3)) + of(slice(3, None)), of(slice(None)))


@pytest.mark.parametrize("head", [SINGLE, MULTI], ids=lambda head: head.name)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softened_predictions_that_agree_have_no_loss(head: Head, temperature: float) -> None:
    student, teacher, labels = drawn(head)
    batch = batch_of(labels)
    same = head.softened(teacher, teacher, batch, temperature)
    torch.testing.assert_close(same, torch.zeros(()), atol=1e-6, rtol=0)
    assert head.softened(student, teacher, batch, temperature) > 0.01


def test_softened_probabilities_by_the_definition() -> None:
    """T^2 KL of two Bernoulli distributions, summed over labels, over examples times labels."""
    student, teacher, labels = drawn(MULTI)
    p, q = (teacher / 3).sigmoid().double(), (student / 3).sigmoid().double()
    divergence = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    found = MULTI.softened(student, teacher, batch_of(labels), 3.0)
    torch.testing.assert_close(found.double(), 9 * divergence.mean(), rtol=1e-4, atol=1e-6)


def test_margins_within_a_query() -> None:
    student, teacher, labels = drawn(RELEVANCE)
    groups = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3])
    error: Any = (student - teacher)[:, 0].tolist()
    expected = sum(e * e for e in error)
    for i in range(8):
        others = [j for j in range(8) if j != i and groups[i] == groups[j]]
        if others:
            expected += sum((error[i] - error[j]) ** 2 for j in others) / len(others)
    found = RELEVANCE.soft(student, teacher, batch_of(labels, groups=groups), 1.0)
    torch.testing.assert_close(found, torch.tensor(expected / 8))


def test_numbers_are_not_softened() -> None:
    student, teacher, labels = drawn(NUMBER)
    with pytest.raises(TypeError, match="no logits"):
        NUMBER.softened(student, teacher, batch_of(labels), 2.0)


def test_numbers_that_are_sigmoids() -> None:
    """As a teacher's folder may say; they are learned from labels by their cross-entropy."""
    head = Regression(("score",), ("pearson",), sigmoid=True)
    student, _, _ = drawn(NUMBER)
    labels = torch.rand(len(student))
    expected = F.binary_cross_entropy_with_logits(student[:, 0], labels)
    torch.testing.assert_close(head.hard(student, batch_of(labels)), expected)
    numbers = [float(number) for number in head.answers(student)]
    torch.testing.assert_close(torch.tensor(numbers), student[:, 0].sigmoid())
    examples, split = examples_of(labels.numpy())
    assert head.units(student, examples, split)[:, 0] == pytest.approx(numbers, abs=1e-6)
    assert head.restored(head.about()).squashes
    assert not Regression(binary=True, sigmoid=False).squashes
    assert Regression().restored({"binary": True}).squashes  # of artifacts before
