"""A vector per text: sentence embeddings, which learn from the teacher's vectors alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.base import Batch, Found, Head
from lada.heads.kinds import METRICS, NEIGHBOURS, Metric
from lada.ops.metrics.correlation import spearman
from lada.ops.metrics.neighbours import nearest, neighbour_recall
from lada.ops.vectors import cosine_distance, cosines, pool, similarity_mse, vector_distance
from lada.report.bootstrap import Statistic, bootstrap_interval

SAMPLE = 1000
"""The spread of the teacher's cosines is taken from so many texts."""


@dataclass(frozen=True, eq=False)
class Embedding(Head):
    """The pooled states of the last layer, (batch, width of the encoder); there are no labels.

    A split of pairs has the scores of their similarity as labels, (pairs,) float32; its examples
    are the first texts and then the second ones, each a text of its own.

    On the validation split, which has no scored pairs, the model is chosen that finds the most of
    the teacher's nearest neighbours: that is what vectors are used for, and unlike the mean cosine
    with the teacher's vectors it stays far from 1 as long as the order of near texts is wrong.

    Attributes:
        pooling: see `lada.ops.vectors.pool`.
        normalize: whether vectors have length 1.
        scale: mean squared length of the teacher's vectors.
        spread: standard deviation of the cosines between the teacher's vectors.
        neighbours: the teacher's nearest texts of each distinct text of the split that is scored,
            (distinct texts, k); None: not known.
    """

    pooling: str = "mean"
    normalize: bool = True
    scale: float = 1.0
    spread: float = 1.0
    neighbours: NDArray[np.int64] | None = None

    name: ClassVar[str] = "embedding"
    decides: ClassVar[bool] = False
    scales: ClassVar[bool] = True
    compares: ClassVar[bool] = True

    @property
    def chosen_by(self) -> Metric:
        """Recall of the teacher's neighbours."""
        return METRICS["recall_10"]

    @property
    def width(self) -> int:
        """0: as wide as the encoder."""
        return 0

    def output(self, out: Any, batch: Batch) -> Tensor:
        """The vectors, (batch, width), of a model's output without a head."""
        vectors = pool(out.last_hidden_state, batch["attention_mask"], self.pooling)
        return F.normalize(vectors, dim=-1) if self.normalize else vectors

    def hard(self, student: Tensor, batch: Batch) -> Tensor:
        """Not possible.

        Raises:
            TypeError: always.
        """
        raise TypeError("kind embedding has no labels")

    def soft(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """Squared distance and cosine distance of the vectors, and the squared error of the cosines
        between the vectors of the batch.

        The first is in units of the teacher's mean squared length, the last in units of the
        variance of the teacher's cosines: it is the share of it that the student misses. The pairs
        are those in this batch; where a step is cut into parts, pairs across parts are not
        compared. ``temperature`` has no effect on vectors.
        """
        count = batch["totals"][0]
        distance = vector_distance(student, teacher, count) / self.scale
        similarity = similarity_mse(student, teacher, count) / self.spread**2
        return distance + cosine_distance(student, teacher, count) + similarity

    def score(self, outputs: Found, examples: Encoded, split: Split) -> dict[str, Any]:
        """Spearman correlation of cosine and score, and recall of the teacher's neighbours.

        Returns:
            ``rows``: pairs, or texts; for pairs ``spearman`` and its interval by bootstrap over
            pairs; ``recall_10``, where the teacher's neighbours are known, and of how many distinct
            ``texts`` it is the mean.
        """
        assert isinstance(outputs, Tensor)
        out: dict[str, Any] = {"rows": len(split)}
        if split.pairs is not None:
            units = self.units(outputs, examples, split)
            decides = self.statistic(units)
            out["spearman"] = decides(np.arange(len(units)))
            out["spearman_95"] = list(bootstrap_interval(decides, len(units), seed=0))
        if self.neighbours is not None:
            found = nearest(outputs[_distinct(split)].numpy(), self.neighbours.shape[1])
            each = neighbour_recall(found, self.neighbours)
            out |= {"recall_10": float(each.mean()), "texts": len(each)}
        return out

    def units(self, outputs: Found, examples: Encoded, split: Split) -> Any:
        """Cosine and score of each pair, (pairs, 2)."""
        assert isinstance(outputs, Tensor)
        first, second = outputs.double().split(len(split))
        given = F.cosine_similarity(first, second, dim=-1).numpy()
        return np.stack([given, np.asarray(split.labels, np.float64)], 1)

    def statistic(self, units: NDArray[Any]) -> Statistic:
        """Spearman correlation."""
        return lambda index: spearman(units[index, 0], units[index, 1])

    def answers(self, outputs: Tensor) -> list[Any]:
        """The vector of each text, (width,) float32."""
        return list(outputs.float().numpy())

    def about(self) -> dict[str, Any]:
        return {"pooling": self.pooling, "normalize": self.normalize}

    def restored(self, about: Mapping[str, Any]) -> "Embedding":
        return replace(
            self, pooling=about.get("pooling", "mean"), normalize=about.get("normalize", True)
        )

    def taught_by(self, outputs: Found) -> "Embedding":
        assert isinstance(outputs, Tensor)
        some = outputs[:SAMPLE].double()
        between = cosines(some)[~torch.eye(len(some), dtype=torch.bool)]
        return replace(
            self,
            scale=max(float(outputs.double().square().sum(-1).mean()), 1e-6),
            spread=max(float(between.std()), 1e-6) if len(some) > 2 else 1.0,
        )

    def compared_with(self, outputs: Found, split: Split) -> "Embedding":
        assert isinstance(outputs, Tensor)
        vectors = outputs[_distinct(split)].numpy()
        count = min(NEIGHBOURS, len(vectors) - 1)
        return replace(self, neighbours=nearest(vectors, count) if count else None)


def _distinct(split: Split) -> list[int]:
    """The first example of each distinct text."""
    places: dict[str, int] = {}
    for number, text in enumerate([*split.texts, *(split.pairs or ())]):
        places.setdefault(text, number)
    return list(places.values())
