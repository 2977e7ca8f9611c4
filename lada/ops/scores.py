"""Which entries are pruned first: ``method.score``. Entries with higher scores are kept.

A matrix is pruned itself, or as the factors A (m, r) and B (n, r) of ``A B^T``. Factors are not
unique: ``A D`` and ``B D^-1`` make the same product for any diagonal D. Of the scores here,
``magnitude`` depends on D; the others do not.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from lada.ops.statistics import Seen

Score = Callable[[Sequence[Tensor], Seen], list[Tensor]]
"""From a matrix (m, n), or factors A and B and perhaps a matrix beside them, to a score each."""


def magnitude(parts: Sequence[Tensor], seen: Seen) -> list[Tensor]:
    """The magnitude of each entry: LadaBERT section 3.3 (arXiv 2004.04124)."""
    return [part.abs() for part in parts]


def product(parts: Sequence[Tensor], seen: Seen) -> list[Tensor]:
    """How much the product changes without the entry: the Frobenius norm of the change.

    That is ``|a_ij| |b_j|`` and ``|b_kj| |a_j|`` for the columns ``a_j`` and ``b_j``; of a matrix
    itself the magnitude.

    Example:
        >>> import torch
        >>> a, b = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 4.0]])
        >>> [score.tolist() for score in product([a, b], Seen())]
        [[[2.0, 4.0]], [[2.0, 4.0]]]
    """
    return _scored(parts, None, None)


def activation(parts: Sequence[Tensor], seen: Seen) -> list[Tensor]:
    """How much the outputs change without the entry: their root mean square over the inputs.

    For inputs x and ``z = B^T x`` that is ``|a_ij| rms(z_j)`` and ``|b_kj| rms(x_k) |a_j|``; of a
    matrix itself ``|w_ik| rms(x_k)`` (Wanda, Sun et al. 2023, arXiv 2306.11695, Eq. 1). Rows of
    word embeddings weigh as often as they are looked up.

    Example:
        >>> import torch
        >>> weight, seen = torch.ones(1, 2), Seen(second=torch.diag(torch.tensor([1.0, 9.0])))
        >>> activation([weight], seen)[0].tolist()
        [[1.0, 3.0]]
    """
    return _scored(parts, seen.second, seen.row_sizes())


def _scored(parts: Sequence[Tensor], second: Tensor | None, rows: Tensor | None) -> list[Tensor]:
    sizes = None if second is None else Seen(second).input_sizes()
    out = []
    if len(parts) > 1:
        a, b = (part.float() for part in parts[:2])
        weighed = a if rows is None else a * rows.to(a)[:, None]
        seen = (b.square() if second is None else b * (second.to(b) @ b)).sum(0)
        out.append(weighed.abs() * seen.clamp_min(0).sqrt())
        inputs = b if sizes is None else b * sizes.to(b)[:, None]
        out.append(inputs.abs() * weighed.norm(dim=0))
    for part in parts[len(out) :]:
        score = part.float().abs()
        if sizes is not None:
            score = score * sizes.to(score)
        out.append(score if rows is None else score * rows.to(score)[:, None])
    return out


SCORES: dict[str, Score] = {"magnitude": magnitude, "product": product, "activation": activation}
"""By name, as in ``method.score=NAME``."""
