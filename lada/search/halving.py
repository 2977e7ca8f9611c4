"""Successive halving without waiting: a trial is compared with those that came there before it."""

import math
from collections.abc import Sequence


def continues(score: float, before: Sequence[float], keep: float) -> bool:
    """Whether a trial continues after a step, by the scores there so far.

    The rule of asynchronous successive halving (Li et al. 2020, arXiv 1810.05934, Algorithm 2): it
    continues if it is among the best ``keep`` of all that have come to this step, itself included;
    of so few that this is less than one, if it is the best. Unlike there, a trial that was stopped
    is not resumed when later ones are worse.

    Args:
        score: on the validation split; larger is better. NaN does not continue.
        before: of the other trials at the same step.
        keep: fraction, over 0 and below 1.

    Example:
        >>> continues(0.7, [], 0.5), continues(0.7, [0.8], 0.5)
        (True, False)
        >>> continues(0.7, [0.8, 0.6, 0.5], 0.5)
        True
    """
    if math.isnan(score):
        return False
    numbers = [other for other in before if not math.isnan(other)]
    kept = max(1, math.floor((len(before) + 1) * keep + 1e-9))
    return sum(other > score for other in numbers) < kept
