"""What a user gets for a text."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Answer:
    """A label and its probability, in [0, 1].

    Example:
        >>> Answer("good", 0.97)
        Answer(label='good', probability=0.97)
    """

    label: str
    probability: float


@dataclass(frozen=True)
class Labels:
    """The labels of a text, the most probable first; none if no probability reaches its threshold.

    Example:
        >>> found = Labels((Answer("joy", 0.9), Answer("surprise", 0.6)))
        >>> found.names
        ('joy', 'surprise')
    """

    labels: tuple[Answer, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(answer.label for answer in self.labels)


@dataclass(frozen=True)
class Number:
    """The number of a text or a pair: a similarity, or the relevance of a passage for a query.

    Example:
        >>> float(Number(4.5))
        4.5
    """

    value: float

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True)
class Entity:
    """A part of a text and its type.

    Attributes:
        start, end: its characters, [start, end).
        probability: the mean, over its words, of the probabilities of their tags.

    Example:
        >>> Entity("Ada", 0, 3, "PER", 0.9).type
        'PER'
    """

    text: str
    start: int
    end: int
    type: str
    probability: float


@dataclass(frozen=True)
class Entities:
    """The entities of a text, in its order.

    Example:
        >>> [found.text for found in Entities((Entity("Ada", 0, 3, "PER", 0.9),)).entities]
        ['Ada']
    """

    entities: tuple[Entity, ...]


@dataclass(frozen=True)
class Span:
    """The part of a context that answers a question.

    Attributes:
        text: empty if the context does not answer the question.
        start, end: its characters in the context, [start, end).
        probability: of its first token as the start times that of its last token as the end.

    Example:
        >>> Span("Ada", 0, 3, 0.9).text
        'Ada'
    """

    text: str
    start: int
    end: int
    probability: float


def as_json(answer: object) -> dict[str, object] | list[float]:
    """An answer as plain JSON values, as ``lada predict`` prints it.

    Example:
        >>> as_json(Labels((Answer("joy", 0.9),)))
        {'labels': [{'label': 'joy', 'probability': 0.9}]}
    """
    if isinstance(answer, Answer):
        return {"label": answer.label, "probability": round(answer.probability, 6)}
    if isinstance(answer, Labels):
        return {"labels": [as_json(each) for each in answer.labels]}
    if isinstance(answer, Entities):
        return {
            "entities": [
                {**vars(found), "probability": round(found.probability, 6)}
                for found in answer.entities
            ]
        }
    if isinstance(answer, Span):
        return {**vars(answer), "probability": round(answer.probability, 6)}
    if isinstance(answer, np.ndarray):
        return [round(value, 6) for value in answer.tolist()]
    assert isinstance(answer, Number)
    return {"value": round(answer.value, 6)}
