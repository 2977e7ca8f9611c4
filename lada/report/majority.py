"""A model against the majority baseline: always answering the largest class of the split.

With uneven classes, accuracy alone hides a model that has learnt nothing. Computed from the scores
of kind single_label (`lada.heads.single_label`); scores that lack these fields are skipped.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lada.heads.kinds import METRICS, Metric

Score = Mapping[str, Any]
"""See `lada.heads.base.Head.score`."""

UNEVEN = 0.05
"""Classes are uneven if the share of the largest exceeds 1 / classes by more than this."""
LEVEL = 0.05
"""Level of significance."""


def is_uneven(score: Score) -> bool:
    """Whether the classes of the split are uneven, so that accuracy alone says little."""
    if "majority" not in score:
        return False
    majority: float = score["majority"]["accuracy"]
    return majority > 1 / len(score["examples"]) + UNEVEN


def verdict(score: Score, labels: Sequence[str] | None) -> str:
    """How a model is no better than the baseline, as the predicate of a sentence.

    Args:
        score: of the model on one split.
        labels: names of the classes by id; None if a record has none.

    Returns:
        For example ``answers "good", the largest class, for every example``; empty for a model that
        answers several classes and is significantly better than the baseline.
    """
    if "majority" not in score:
        return ""

    def name(number: int) -> str:
        # Quoted as JSON, since the user's names may have line breaks or control characters.
        return json.dumps(labels[number], ensure_ascii=False) if labels else f"class {number}"

    given = [number for number, count in enumerate(score["answers"]) if count]
    if len(given) == 1:
        largest = score["examples"][given[0]] == max(score["examples"])
        which = ", the largest class," if largest else ""
        return f"answers {name(given[0])}{which} for every example"
    majority = score["majority"]
    gain, p = score["accuracy"] - majority["accuracy"], majority["p_value"]
    if gain > 0 and p <= LEVEL:
        return ""
    if p > LEVEL:
        how = "is not significantly more" if gain > 0 else "is not more"
    else:
        how = "is less"
    chance = "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
    return (
        f"{how} accurate than always answering {name(majority['class'])} "
        f"({100 * majority['accuracy']:.1f} %; McNemar's exact test, {chance})"
    )


def warnings(
    scores: Mapping[str, Mapping[str, Score]], labels: Sequence[str] | None, decides: Metric
) -> list[str]:
    """A line per model and split if the model is no better than the baseline.

    Without one label per example the baseline is a score of 0.

    Args:
        scores: by "artifact" or "teacher", and by split.
        labels: names of the classes by id.
        decides: the deciding metric.
    """
    return [
        f"{split}: the {who} {said}"
        for who, found in scores.items()
        for split, score in found.items()
        if (said := verdict(score, labels) or _near_zero(score, decides))
    ]


def _near_zero(score: Score, decides: Metric) -> str:
    bounds = score.get(f"{decides.name}_95")
    if "majority" in score or bounds is None or bounds[0] > 0:
        return ""
    return (
        f"has a score that is not significantly above 0 ({decides.title}, 95 % interval "
        f"{decides.interval(bounds)}{decides.unit})"
    )


def chance_corrected(
    scores: Sequence[Score], shown: Sequence[Metric] = ()
) -> list[tuple[str, list[str], bool]]:
    """Rows shown below the accuracies of several models on one split if its classes are uneven.

    Also if one of the models is no better than the baseline, whatever the classes are.

    Args:
        scores: of the models.
        shown: metrics that have a row already.

    Returns:
        Rows: a name, a text for each model, and whether larger is better (not for the baseline).
        No rows if the classes are even, or a score lacks the fields.
    """
    if not all("majority" in score for score in scores):
        return []
    if not any(is_uneven(score) or verdict(score, None) for score in scores):
        return []
    baseline = [f"{100 * score['majority']['accuracy']:.1f}" for score in scores]
    metrics = [METRICS[name] for name in ("mcc", "macro_f1") if METRICS[name] not in shown]
    return [
        ("majority baseline %", baseline, False),
        *((m.heading, [m.shown(score[m.name]) for score in scores], True) for m in metrics),
    ]
