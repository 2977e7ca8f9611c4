"""Which error the factors of a matrix make least: ``method.factorizer``.

Every one is a function from what the matrix sees to `lada.ops.factorize.Weights`; the factors are
then those of `lada.ops.factorize.weighted_factors`.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lada.ops.factorize import EVEN, Weights
from lada.ops.statistics import Seen

DAMPING = 1e-4
"""Added to second moments and to squared gradients, in units of their mean: inputs that never
occur, and rows that the loss does not depend on, count a little."""


def svd(seen: Seen) -> Weights:
    """The error of the weight itself: LadaBERT Eq. 1-2 (arXiv 2004.04124)."""
    return EVEN


def whitened(seen: Seen) -> Weights:
    """The error of the layer's outputs on the inputs that it sees.

    SVD-LLM (Wang et al. 2024, arXiv 2403.07378, section 3.1): with ``C = L L^T`` the second moments
    of the inputs, ``|(W - A B^T) L|`` is the root of the outputs' mean squared error. Rows of word
    embeddings weigh as often as they are looked up.

    Example:
        >>> seen = Seen(second=torch.diag(torch.tensor([9.0, 1.0])))
        >>> whitened(seen).inputs.round(decimals=2).tolist()
        [[1.34, 0.0], [0.0, 0.45]]
    """
    inputs = None
    if seen.second is not None:
        second = seen.second.double()
        mean = second.diagonal().mean()
        if bool(mean > 0):
            even = torch.eye(len(second), dtype=second.dtype, device=second.device)
            inputs = torch.linalg.cholesky(second / mean + DAMPING * even)
    rows = seen.row_sizes()
    return Weights(None if rows is None else _in_units(rows.square()), inputs)


def fisher(seen: Seen) -> Weights:
    """The error of each row of the weight, by how much the loss depends on the row.

    FWSVD (Hsu et al. 2022, arXiv 2207.00112): a row weighs the root of the sum over the row of the
    Fisher information, which is the mean over examples of the squared gradient of the labels' loss.
    Rows are those of W (m, n), outputs of a layer. The paper's text was not at hand: that the
    gradient is of one example, `DAMPING`, and rows of word embeddings that no example has
    (`lada.ops.statistics.Seen.row_gradients`) are as chosen here.

    Example:
        >>> weights = fisher(Seen(gradients=torch.tensor([9.0, 1.0])))
        >>> [round(weight, 2) for weight in weights.rows.tolist()]
        [1.34, 0.45]
    """
    gradients = seen.row_gradients()
    if gradients is None or not bool(gradients.sum() > 0):
        return EVEN
    return Weights(_in_units(gradients + DAMPING * gradients.mean()))


def fisher_whitened(seen: Seen) -> Weights:
    """The error of the layer's outputs, of each by how much the loss depends on its row.

    `whitened` and the rows of `fisher` together. Rows of word embeddings weigh as often as they are
    looked up: their inputs are the look-ups, so that this is `whitened`.
    """
    found = whitened(seen)
    return found if found.rows is not None else replace(found, rows=fisher(seen).rows)


def _in_units(squares: Tensor) -> Tensor:
    """The roots, in units in which their mean square is 1: factors are about as large as others."""
    return (squares / squares.mean()).sqrt()


FACTORIZERS: dict[str, Callable[[Seen], Weights]] = {
    "svd": svd,
    "whitened": whitened,
    "fisher": fisher,
    "fisher_whitened": fisher_whitened,
}
"""By name, as in ``method.factorizer=NAME``."""
