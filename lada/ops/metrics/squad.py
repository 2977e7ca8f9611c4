"""Exact match and F1 of answer texts, as SQuAD's evaluation defines them.

Rajpurkar et al. 2016 (v1.1) and 2018 (v2, where a question may have no answer).
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(answer: str) -> str:
    """The answer in lower case, without ASCII punctuation, English articles and extra spaces.

    Example:
        >>> normalize("The  Beatles' album, a hit")
        'beatles album hit'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(predicted: str, gold: str) -> float:
    """1 if both answers are equal after `normalize`, else 0.

    Example:
        >>> exact_match("the Rhine.", "Rhine")
        1.0
    """
    return float(normalize(predicted) == normalize(gold))


def token_f1(predicted: str, gold: str) -> float:
    """F1 of the words of both answers after `normalize`, as multisets.

    If one of them has no words left, it is 1 if the other has none either, else 0: the rule of v2
    for questions without an answer.

    Example:
        >>> round(token_f1("river Rhine", "the Rhine"), 3)
        0.667
    """
    ours, theirs = normalize(predicted).split(), normalize(gold).split()
    if not ours or not theirs:
        return float(ours == theirs)
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs))


def answer_scores(predicted: str, golds: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of one answer, each the maximum over the gold answers.

    Args:
        predicted: the answer; an empty text says that there is none.
        golds: the gold answers; empty if the question has no answer. Gold answers of which nothing
            is left after `normalize` are left out, as in the evaluation of v2.

    Returns:
        (exact match, F1), in [0, 1]. Without gold answers both are 1 for no answer, else 0.

    Example:
        >>> answer_scores("in Paris", ["Paris", "Paris, France"])
        (0.0, 0.6666666666666666)
        >>> answer_scores("", [])
        (1.0, 1.0)
    """
    texts = [gold for gold in golds if normalize(gold)] or [""]
    return (
        max(exact_match(predicted, gold) for gold in texts),
        max(token_f1(predicted, gold) for gold in texts),
    )
