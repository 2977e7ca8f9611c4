"""How sure a score is, and a difference between two methods, from the rows of their runs.

A share of right examples has exact tests: Wilson's interval, McNemar's test. Any other metric is
computed anew of resampled examples (`lada.report.bootstrap`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lada.heads import head_named
from lada.report.bootstrap import Statistic, bootstrap_interval, paired_bootstrap
from lada.report.predictions import from_hex, from_packed
from lada.report.rows import Row, kind_and_metrics
from lada.report.stats import mcnemar, wilson

SAMPLES = 10_000
"""Samples of a paired bootstrap. Its least p-value, 0.0002, stays significant after a correction
for two hundred differences."""


def is_exact(row: Row) -> bool:
    """Whether the deciding metric of a row is a share of right examples."""
    return "correct" in row["artifact"]


def interval(rows: Sequence[Row], who: str, split: str) -> tuple[float, float]:
    """95 % interval of the mean of these runs as of one model: more seeds are not more examples.

    Args:
        who: "teacher" or "artifact".

    Raises:
        ValueError: the runs have different examples in the split.
    """
    if not is_exact(rows[0]):
        mean, units = _mean(rows, who, split)
        return bootstrap_interval(mean, units)
    name = kind_and_metrics(rows[0])[1][0].name
    scores = [row[who]["scores"][split][name] for row in rows]
    examples = rows[0][who]["scores"][split]["rows"]
    return wilson(round(sum(scores) / len(scores) * examples), examples)


def difference(pairs: Sequence[tuple[Row, Row]], split: str) -> tuple[float, float]:
    """Mean difference of the artifacts of paired runs, first minus second, and its p-value.

    By McNemar's exact test on the answers of all pairs together, or by a paired bootstrap of the
    mean over pairs.

    Args:
        pairs: runs with the same dev examples.

    Raises:
        ValueError: the pairs have different examples in the split.
    """
    if not is_exact(pairs[0][0]):
        ours, units = _mean([first for first, _ in pairs], "artifact", split)
        theirs, _ = _mean([second for _, second in pairs], "artifact", split)
        found = paired_bootstrap(ours, theirs, units, samples=SAMPLES)
        return found.difference, found.p
    only_ours = only_theirs = answered = 0
    for pair in pairs:
        count = pair[0]["artifact"]["scores"][split]["rows"]
        a, b = (from_hex(row["artifact"]["correct"][split], count) for row in pair)
        answered += count
        only_ours += int((a & ~b).sum())
        only_theirs += int((b & ~a).sum())
    return (only_ours - only_theirs) / answered, mcnemar(only_ours, only_theirs)


def _mean(rows: Sequence[Row], who: str, split: str) -> tuple[Statistic, int]:
    """The mean of the deciding metric over runs, and the number of units of each."""
    kind, metrics = kind_and_metrics(rows[0])
    head = head_named(kind, metrics=tuple(metric.name for metric in metrics))
    units: list[NDArray[Any]] = [from_packed(row[who]["units"][split]) for row in rows]
    if len({len(found) for found in units}) > 1:
        raise ValueError(f"{rows[0]['task']} {split}: the rows have different examples")
    each = [head.statistic(found) for found in units]

    def mean(index: NDArray[np.int64]) -> float:
        return sum(statistic(index) for statistic in each) / len(each)

    return mean, len(units[0])
