"""Projection of a student's hidden states to its teacher's width: TinyBERT, arXiv 1909.10351."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Projection(nn.Module):
    """A learned linear map from the student's width to the teacher's, shared by all layers.

    The paper has a matrix for the embedding output (Eq. 9) and another for the layers (Eq. 8),
    without bias. Its code has what is used here: one Linear with bias for all of them, initialized
    with weights N(0, 0.02^2) and bias 0. It is trained with the student but is not part of it.
    """

    def __init__(self, student_width: int, teacher_width: int):
        super().__init__()
        self.fit_dense = nn.Linear(student_width, teacher_width)
        nn.init.normal_(self.fit_dense.weight, std=0.02)
        nn.init.zeros_(self.fit_dense.bias)

    @torch.no_grad()
    def start_at_(self, weight: Tensor) -> None:
        """Start as another map, (teacher width, student width), in place; the bias is 0."""
        self.fit_dense.weight.copy_(weight)

    def forward(self, hidden: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """States (batch, length, student width) -> as many (batch, length, teacher width)."""
        return tuple(self.fit_dense(states) for states in hidden)


def uniform_layers(teacher_layers: int, student_layers: int) -> tuple[int, ...]:
    """The teacher's layer for each of the student's layers: g(m) = m N / M, arXiv 1909.10351.

    Args:
        teacher_layers: N.
        student_layers: M.

    Returns:
        g(1) ... g(M), layer numbers from 1 to N. They are indices into
        `lada.nn.capture.Outputs.hidden`, where 0 is the embedding output; the attention map of
        layer g has index g - 1.

    Raises:
        ValueError: M does not divide N.
    """
    n, m = teacher_layers, student_layers
    fits = [x for x in range(1, n + 1) if n % x == 0]
    if m not in fits:
        would = ", ".join(map(str, fits)) or "none"
        raise ValueError(f"{m} layers do not fit a teacher of {n}; would do: {would}")
    return tuple(range(n // m, n + 1, n // m))
