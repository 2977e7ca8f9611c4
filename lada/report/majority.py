"""A model against the majority baseline: always answering the largest class of the scored split.

Accuracy alone hides a model that has learnt nothing where classes are uneven. Made from the scores
of `lada.training.evaluate.score`; scores of older records have no such fields, and are passed over.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Score = Mapping[str, Any]
"""See `lada.training.evaluate.score`."""

UNEVEN = 0.05
"""Share of the largest class above 1 / classes from which the classes of a split are uneven."""
LEVEL = 0.05
"""Of significance."""


def is_uneven(score: Score) -> bool:
    """Whether the classes of the split are uneven, so that its accuracy says little alone."""
    if "majority" not in score:
        return False
    majority: float = score["majority"]["accuracy"]
    return majority > 1 / len(score["examples"]) + UNEVEN


def verdict(score: Score, labels: Sequence[str] | None) -> str:
    """What a model does that is no better than the baseline, as the predicate of a sentence.

    Args:
        score: of the model on one split.
        labels: names of the classes by id; None where a record has none.

    Returns:
        Such as ``answers "good", the largest class, for every example``; empty for a model that
        gives several classes and is significantly better than the baseline.
    """
    if "majority" not in score:
        return ""

    def name(number: int) -> str:
        # Quoted as JSON, since the names are the user's: no line breaks, no control characters.
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


def warnings(scores: Mapping[str, Mapping[str, Score]], labels: Sequence[str] | None) -> list[str]:
    """A line for each model and split where the model is no better than the baseline.

    Args:
        scores: by "artifact" or "teacher", and by split.
    """
    return [
        f"{split}: the {who} {said}"
        for who, found in scores.items()
        for split, score in found.items()
        if (said := verdict(score, labels))
    ]


def chance_corrected(scores: Sequence[Score]) -> list[tuple[str, list[str], bool]]:
    """What is shown beside the accuracies of several models on one split, where classes are uneven.

    Also where one of them is no better than the baseline, whatever the classes are.

    Returns:
        Rows: a name, a text for each model, and whether larger is better (the baseline is no
        model's). None where the classes are even, or a score has not the fields.
    """
    if not all("majority" in score for score in scores):
        return []
    if not any(is_uneven(score) or verdict(score, None) for score in scores):
        return []
    return [
        ("majority baseline %", [f"{100 * s['majority']['accuracy']:.1f}" for s in scores], False),
        ("Matthews correlation", [f"{s['mcc']:.3f}" for s in scores], True),
        ("macro-F1 %", [f"{100 * s['macro_f1']:.1f}" for s in scores], True),
    ]
