"""Pooling and the losses of vectors, against plain numpy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lada.ops.vectors import (
    POOLINGS,
    cosine_distance,
    pool,
    similarity_mse,
    vector_distance,
)

LOSSES = (vector_distance, cosine_distance, similarity_mse)


def drawn(count: int = 7, width: int = 5) -> tuple[Tensor, Tensor]:
    found = torch.randn(2, count, width, generator=torch.Generator().manual_seed(0))
    return found[0], found[1]


def unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = x / np.linalg.norm(x, axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("how", POOLINGS)
def test_pooling_is_of_the_real_tokens(how: str) -> None:
    states = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1))
    lengths = (6, 1, 4)
    mask = torch.tensor([[int(place < n) for place in range(6)] for n in lengths])
    plain = {"mean": lambda x: x.mean(0), "cls": lambda x: x[0], "max": lambda x: x.max(0)}
    expected = [plain[how](states[i, :n].numpy()) for i, n in enumerate(lengths)]
    np.testing.assert_allclose(pool(states, mask, how), np.stack(expected), rtol=1e-5)
    changed = states.masked_fill(~mask.bool().unsqueeze(-1), float("nan"))
    torch.testing.assert_close(pool(changed, mask, how), pool(states, mask, how))


def test_pooling_is_in_float32() -> None:
    states = torch.full((1, 300, 2), 300.0, dtype=torch.float16)
    assert pool(states, torch.ones(1, 300), "mean").tolist() == [[300.0, 300.0]]


def test_an_unknown_pooling_is_rejected() -> None:
    with pytest.raises(ValueError, match="'sum' is not one of mean, cls, max"):
        pool(torch.zeros(1, 2, 3), torch.ones(1, 2), "sum")


def test_losses_by_their_definitions() -> None:
    student, teacher = drawn()
    s, t = student.numpy(), teacher.numpy()
    assert float(vector_distance(student, teacher)) == pytest.approx(
        np.mean(((s - t) ** 2).sum(1)), rel=1e-5
    )
    cosines = (unit(s) * unit(t)).sum(1)
    assert float(cosine_distance(student, teacher)) == pytest.approx(np.mean(1 - cosines), rel=1e-5)
    error = (unit(s) @ unit(s).T - unit(t) @ unit(t).T) ** 2
    others = [error[i, j] for i in range(7) for j in range(7) if i != j]
    assert float(similarity_mse(student, teacher)) == pytest.approx(np.mean(others), rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_equal_vectors_have_no_loss(loss: object) -> None:
    _, teacher = drawn()
    assert callable(loss)
    assert float(loss(teacher, teacher)) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="not two"):
        loss(teacher, teacher[:, 1:])


def test_similarities_do_not_depend_on_rotation_or_length() -> None:
    student, teacher = drawn()
    turned = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(2)))[0]
    same = similarity_mse(3.0 * student @ turned, teacher)
    torch.testing.assert_close(same, similarity_mse(student, teacher))
    assert float(similarity_mse(teacher @ turned, teacher)) < 1e-10


def test_a_single_vector_has_no_similarities() -> None:
    student, teacher = drawn(1)
    student.requires_grad_(True)
    loss = similarity_mse(student, teacher)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert student.grad is not None and not student.grad.any()
