"""The kinds of tasks and their metrics, by name. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A score of a model on a split.

    Attributes:
        name: of the field in scores.
        title: in tables and figures.
        percent: whether it is displayed times 100.
        hub: what the hub calls it; "": as it is called here.
    """

    name: str
    title: str
    percent: bool = True
    hub: str = ""

    @property
    def unit(self) -> str:
        """What follows a displayed value: " %" or nothing."""
        return " %" if self.percent else ""

    @property
    def heading(self) -> str:
        """The title with its unit: "accuracy %"."""
        return f"{self.title}{self.unit}"

    @property
    def scale(self) -> int:
        """What values are multiplied by where they are displayed."""
        return 100 if self.percent else 1

    def shown(self, value: float) -> str:
        """A value as it is displayed: "91.3" or "0.871"."""
        return f"{100 * value:.1f}" if self.percent else f"{value:.3f}"

    def interval(self, bounds: Sequence[float]) -> str:
        """Two bounds as they are displayed: "90.1-92.4", or "-0.012 to 0.310"."""
        low, high = map(self.shown, bounds)
        return f"{low}{' to ' if low.startswith('-') else '-'}{high}"

    def change(self, before: float, after: float) -> str:
        """A difference as it is displayed: "+0.4" or "-0.012"."""
        return f"{100 * (after - before):+.1f}" if self.percent else f"{after - before:+.3f}"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy"),
        Metric("f1", "F1"),
        Metric("macro_f1", "macro-F1", hub="f1"),
        Metric("mcc", "Matthews correlation", percent=False, hub="matthews_correlation"),
        Metric("micro_f1", "micro-F1", hub="f1"),
        Metric("average_precision", "average precision"),
        Metric("pearson", "Pearson", percent=False, hub="pearsonr"),
        Metric("spearman", "Spearman", percent=False, hub="spearmanr"),
        Metric("map", "MAP", percent=False),
        Metric("mrr_10", "MRR@10", percent=False, hub="mrr@10"),
        Metric("ndcg_10", "NDCG@10", percent=False, hub="ndcg@10"),
        Metric("entity_f1", "entity F1", hub="f1"),
        Metric("token_accuracy", "token accuracy", hub="accuracy"),
        Metric("exact_match", "exact match"),
        Metric("answer_f1", "F1", hub="f1"),
        Metric("recall_10", "recall@10", percent=False, hub="recall@10"),
    )
}
"""Every metric of every kind, by the name of its field in scores."""


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of task before torch is imported.

    Attributes:
        name: ``task.kind``.
        auto: transformers' Auto class of its models.
        metrics: names of its metrics; the first decides unless a task says otherwise.
        logits: whether its outputs are logits, which a temperature can soften.
        problem: what a config calls it (``problem_type``), if it calls it anything.
        pipeline: the name of transformers' pipeline; "" where it has none.
        what: in a sentence: "one label per example".
        labelled: whether its examples have labels to learn from.
        tag: what the hub calls such tasks (``pipeline_tag``); "": as the pipeline is called.
        library: the library that the hub should show for its models.
        sentences: the class of sentence-transformers that loads its models; "": none.
    """

    name: str
    auto: str
    metrics: tuple[str, ...]
    logits: bool
    problem: str | None
    pipeline: str
    what: str
    labelled: bool = True
    tag: str = ""
    library: str = "transformers"
    sentences: str = ""


SEQUENCE = "AutoModelForSequenceClassification"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "single_label",
            SEQUENCE,
            ("accuracy", "macro_f1", "mcc"),
            True,
            None,
            "text-classification",
            "one label per example",
        ),
        Kind(
            "multi_label",
            SEQUENCE,
            ("micro_f1", "macro_f1", "average_precision"),
            True,
            "multi_label_classification",
            "text-classification",
            "any number of labels per example",
        ),
        Kind(
            "regression",
            SEQUENCE,
            ("pearson", "spearman"),
            False,
            "regression",
            "text-classification",
            "a number per example",
            sentences="CrossEncoder",
        ),
        Kind(
            "tokens",
            "AutoModelForTokenClassification",
            ("entity_f1", "token_accuracy"),
            True,
            None,
            "token-classification",
            "a tag per word",
        ),
        Kind(
            "spans",
            "AutoModelForQuestionAnswering",
            ("exact_match", "answer_f1"),
            True,
            None,
            "",
            "the part of a text that answers a question",
            tag="question-answering",
        ),
        Kind(
            "embedding",
            "AutoModel",
            ("spearman", "recall_10"),
            False,
            None,
            "feature-extraction",
            "a vector per text",
            labelled=False,
            tag="sentence-similarity",
            library="sentence-transformers",
            sentences="SentenceTransformer",
        ),
    )
}

NEIGHBOURS = 10
"""How many of a text's nearest texts ``recall_10`` is of; all others, where there are fewer."""

RANKING = ("map", "mrr_10", "ndcg_10")
"""The metrics of ``regression`` where examples have queries (reranking)."""


def hub_task(kind: Kind, metrics: Sequence[str]) -> str:
    """What the hub calls tasks of a kind with these metrics.

    Example:
        >>> hub_task(KINDS["regression"], RANKING)
        'text-ranking'
    """
    return "text-ranking" if tuple(metrics) == RANKING else kind.tag or kind.pipeline
