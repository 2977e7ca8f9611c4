"""The kinds of tasks and their metrics, by name. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A score of a model on a split.

    Attributes:
        name: of the field in scores.
        title: in tables and figures.
        percent: whether it is displayed times 100.
    """

    name: str
    title: str
    percent: bool = True

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

    def change(self, before: float, after: float) -> str:
        """A difference as it is displayed: "+0.4" or "-0.012"."""
        return f"{100 * (after - before):+.1f}" if self.percent else f"{after - before:+.3f}"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy"),
        Metric("f1", "F1"),
        Metric("macro_f1", "macro-F1"),
        Metric("mcc", "Matthews correlation", percent=False),
        Metric("micro_f1", "micro-F1"),
        Metric("average_precision", "average precision"),
        Metric("pearson", "Pearson", percent=False),
        Metric("spearman", "Spearman", percent=False),
        Metric("map", "MAP", percent=False),
        Metric("mrr_10", "MRR@10", percent=False),
        Metric("ndcg_10", "NDCG@10", percent=False),
        Metric("entity_f1", "entity F1"),
        Metric("token_accuracy", "token accuracy"),
        Metric("exact_match", "exact match"),
        Metric("answer_f1", "F1"),
        Metric("recall_10", "recall@10", percent=False),
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
        pipeline: the name of transformers' pipeline, which is that of the hub's tag too.
        what: in a sentence: "one label per example".
        labelled: whether its examples have labels to learn from.
    """

    name: str
    auto: str
    metrics: tuple[str, ...]
    logits: bool
    problem: str | None
    pipeline: str
    what: str
    labelled: bool = True


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
            "question-answering",
            "the part of a text that answers a question",
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
        ),
    )
}

RANKING = ("map", "mrr_10", "ndcg_10")
"""The metrics of ``regression`` where examples have queries (reranking)."""
