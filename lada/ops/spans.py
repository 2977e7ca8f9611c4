"""The best span of tokens, from logits of its start and its end."""

import math

import torch.nn.functional as F
from torch import Tensor


def best_span(logits: Tensor, longest: int) -> tuple[int, int, float]:
    """The span whose sum of start and end logits is the largest: BERT (arXiv 1810.04805), 4.2.

    Args:
        logits: (length, 2), of start and end at each token.
        longest: most tokens of a span.

    Returns:
        Its first token, its last token, and the sum; of several that are equal, the first.

    Raises:
        ValueError: there are no tokens, or ``longest`` is under 1.

    Example:
        >>> import torch
        >>> best_span(torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 4.0]]), 2)
        (1, 2, 7.0)
    """
    if longest < 1 or len(logits) == 0:
        raise ValueError(f"spans of up to {longest} of {len(logits)} tokens")
    start, end = logits.float().unbind(-1)
    # (length, longest): the end logits of the spans that start at each token
    ends = F.pad(end, (0, longest - 1), value=-math.inf).unfold(0, longest, 1)
    sums = start[:, None] + ends
    first, more = divmod(int(sums.argmax()), longest)
    return first, first + more, float(sums[first, more])
