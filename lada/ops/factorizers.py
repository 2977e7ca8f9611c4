"""Which error the factors of a matrix make least: ``method.factorizer``.

Every one is a function from what the matrix sees to `lada.ops.factorize.Weights`; the factors are
then those of `lada.ops.factorize.weighted_factors`.
"""

from collections.abc import Callable

import torch

from lada.ops.factorize import EVEN, Weights
from lada.ops.statistics import Seen

DAMPING = 1e-4
"""Added to the second moments, in units of their mean: inputs that never occur count a little."""


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
    # Their mean square is 1, so that factors are about as large as those of other matrices.
    return Weights(None if rows is None else rows / rows.square().mean().sqrt(), inputs)


FACTORIZERS: dict[str, Callable[[Seen], Weights]] = {"svd": svd, "whitened": whitened}
"""By name, as in ``method.factorizer=NAME``."""
