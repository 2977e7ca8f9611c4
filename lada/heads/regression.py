"""A number per example: similarity scores, and the relevance of a passage for a query."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.answers import Number
from lada.heads.base import Batch, Found, Head
from lada.heads.kinds import RANKING
from lada.ops.metrics.correlation import pearson, spearman
from lada.ops.metrics.ranking import average_precisions, gains, rankings, reciprocal_ranks
from lada.ops.mixing import mixed_numbers, mixed_sigmoids
from lada.report.bootstrap import Statistic, bootstrap_interval, ratio_of_sums

CORRELATIONS = {"pearson": pearson, "spearman": spearman}


@dataclass(frozen=True)
class Regression(Head):
    """One output (batch, 1); labels are numbers, (examples,) float32.

    Where examples have queries (``Split.groups``) the model is a reranker: it learns also from the
    margins between the passages of a query, and is scored by the order of its outputs.

    Attributes:
        scale: standard deviation of the teacher's outputs, in whose units its errors are taken.
        binary: labels are 0 or 1.
        sigmoid: whether a number is the sigmoid of the output, learned from labels by its
            cross-entropy; None: where labels are 0 or 1.
    """

    scale: float = 1.0
    binary: bool = False
    sigmoid: bool | None = None

    name: ClassVar[str] = "regression"
    decides: ClassVar[bool] = False
    scales: ClassVar[bool] = True

    @property
    def ranks(self) -> bool:
        """Whether it is a reranker."""
        return self.deciding.name == "map"

    @property
    def squashes(self) -> bool:
        """Whether its numbers are sigmoids."""
        return self.binary if self.sigmoid is None else self.sigmoid

    def hard(self, student: Tensor, batch: Batch) -> Tensor:
        """Squared error of standardized numbers, or cross-entropy of sigmoids."""
        labels = batch["labels"].float()
        known, given = ~labels.isnan(), student[:, 0].float()
        if self.squashes:
            losses = F.binary_cross_entropy_with_logits(
                given, labels.nan_to_num(), reduction="none"
            )
        else:
            losses = ((given - labels.nan_to_num()) / self.scale).square()
        return (losses * known).sum() / batch["totals"][0]

    def soft(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """Squared error, in units of the teacher's standard deviation; for rerankers also that of
        the margins within a query (MarginMSE, Hofstaetter et al. 2020, arXiv 2010.02666).

        The margins are those of the pairs in this batch; where a step is cut into parts, pairs
        across parts are not compared. ``temperature`` has no effect on numbers.
        """
        error = (student[:, 0].float() - teacher[:, 0].float()) / self.scale
        loss = error.square().sum()
        groups = batch.get("groups")
        if groups is not None:
            same = groups[:, None] == groups[None, :]
            others = (same.sum(1) - 1).clamp(min=1)  # each example's margins count as one
            margins = (error[:, None] - error[None, :]).square() * same
            loss = loss + (margins.sum(1) / others).sum()
        return loss / batch["totals"][0]

    def mixed(self, teacher: Tensor, given: Tensor, weight: float) -> Tensor:
        mix = mixed_sigmoids if self.squashes else mixed_numbers
        return mix(teacher, given, weight)

    def score(self, outputs: Found, examples: Encoded, split: Split) -> dict[str, Any]:
        """Pearson and Spearman correlation; for a reranker MAP, MRR@10, NDCG@10.

        Returns:
            ``rows``; the metrics; the deciding one's interval by bootstrap, over examples or, for a
            reranker, over queries; ``queries`` that have a positive.
        """
        assert isinstance(outputs, Tensor)
        given = self._given(outputs)
        truth = np.asarray(examples.labels, np.float64)
        out: dict[str, Any] = {"rows": len(truth)}
        if self.ranks:
            assert split.groups is not None
            each = _by_query(given, truth, split.groups)
            out |= {name: float(values.mean()) for name, values in each.items()}
            out["queries"] = len(each["map"])
        else:
            out |= {name: metric(given, truth) for name, metric in CORRELATIONS.items()}
        units = self.units(outputs, examples, split)
        interval = bootstrap_interval(self.statistic(units), len(units), seed=0)
        return out | {f"{self.deciding.name}_95": list(interval)}

    def units(self, outputs: Found, examples: Encoded, split: Split) -> Any:
        """Number and label of each example; for a reranker the average precision per query."""
        assert isinstance(outputs, Tensor)
        given, truth = self._given(outputs), np.asarray(examples.labels, np.float64)
        if self.ranks:
            assert split.groups is not None
            return _by_query(given, truth, split.groups)["map"][:, None]
        return np.stack([given, truth], 1)

    def statistic(self, units: NDArray[Any]) -> Statistic:
        """The correlation that decides, or MAP."""
        if self.ranks:
            return ratio_of_sums(units[:, 0], np.ones(len(units)))
        decides = CORRELATIONS[self.deciding.name]
        return lambda index: decides(units[index, 0], units[index, 1])

    def answers(self, outputs: Tensor) -> list[Number]:
        """The number of each text or pair; where labels are 0 and 1, the probability of 1."""
        given = outputs[:, 0]
        return [Number(value) for value in (given.sigmoid() if self.squashes else given).tolist()]

    def _given(self, outputs: Tensor) -> NDArray[np.float64]:
        """The number of each example; of a reranker the output, whose order is the same."""
        given = outputs[:, 0].double()
        return (given.sigmoid() if self.squashes and not self.ranks else given).numpy()

    def about(self) -> dict[str, Any]:
        return {"binary": self.binary, "ranks": self.ranks, "sigmoid": self.squashes}

    def restored(self, about: Mapping[str, Any]) -> "Regression":
        metrics = RANKING if about.get("ranks", False) else self.kind.metrics
        return replace(
            self,
            binary=about.get("binary", False),
            sigmoid=about.get("sigmoid"),
            metrics=metrics,
        )

    def fitted(self, train: Split) -> "Regression":
        """Whether all labels are 0 or 1."""
        return replace(self, binary=bool(np.isin(train.labels, (0, 1)).all()))

    def taught_by(self, outputs: Found) -> "Regression":
        assert isinstance(outputs, Tensor)
        return replace(self, scale=max(float(outputs.double().std()), 1e-6))


def _by_query(
    given: NDArray[np.float64], truth: NDArray[np.float64], groups: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Each metric for each query that has a positive, in the order of the queries."""
    ranked = rankings(given, truth, groups)
    return {
        "map": average_precisions(ranked),
        "mrr_10": reciprocal_ranks(ranked, 10),
        "ndcg_10": gains(ranked, 10),
    }
