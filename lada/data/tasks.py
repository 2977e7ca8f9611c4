"""The table of tasks: their classes, columns and metrics."""

from dataclasses import dataclass

from lada.errors import LadaError


@dataclass(frozen=True)
class TaskSpec:
    """The properties of a task that are known before any file is read."""

    name: str
    """Name in configs."""
    labels: tuple[str, ...]
    """Label words by class id; empty where they are taken from the data."""
    columns: tuple[str, ...]
    """Text columns in files: one, or two for pairs; empty if a config names them."""
    metrics: tuple[str, ...]
    """The metrics of the task, the main one first."""
    dev_splits: tuple[str, ...]
    """Dev splits; also the stems of their GLUE files."""
    kind: str = "single_label"
    """See `lada.heads.kinds.KINDS`; where the data decide, that of most."""
    split_by: str = "example"
    """How the validation split is cut: "sentence" where texts contain one another, "auto" where it
    is decided from the data; see `lada.data.validation`."""
    folder: str = ""
    """Folder of the task in the GLUE download; empty if it is not a GLUE task."""
    malformed_lines: int = 0
    """Lines of the official files that are known to be malformed; up to so many are skipped."""
    hub_name: str = ""
    """Config of the hub's GLUE data set; empty if it is not a GLUE task."""
    hub_columns: tuple[str, ...] = ()
    """Text columns in the hub's data set, in the order of `columns`."""
    tests: tuple[tuple[str, str], ...] = ()
    """Stems of the unlabelled test files, and of the files that GLUE's server takes for them."""
    test_id: str = "index"
    """Column of a test file with the numbers of its examples."""
    answers: tuple[str, ...] = ()
    """The names of the classes on GLUE's server, by class id; empty for a regression."""
    official_columns: tuple[str, ...] = ()
    """The text columns in the official files, if they are not called as `columns`."""
    bare_columns: tuple[str, ...] = ()
    """The columns of official train and dev files that have no header."""


def _by_name(*specs: TaskSpec) -> dict[str, TaskSpec]:
    return {spec.name: spec for spec in specs}


TASKS: dict[str, TaskSpec] = _by_name(
    TaskSpec(
        name="sst2",
        labels=("negative", "positive"),
        columns=("sentence",),
        metrics=("accuracy",),
        dev_splits=("dev",),
        split_by="sentence",
        folder="SST-2",
        hub_name="sst2",
        hub_columns=("sentence",),
        tests=(("test", "SST-2"),),
        answers=("0", "1"),
    ),
    TaskSpec(
        name="mnli",
        labels=("entailment", "neutral", "contradiction"),
        columns=("sentence1", "sentence2"),
        metrics=("accuracy",),
        dev_splits=("dev_matched", "dev_mismatched"),
        folder="MNLI",
        hub_name="mnli",
        hub_columns=("premise", "hypothesis"),
        tests=(("test_matched", "MNLI-m"), ("test_mismatched", "MNLI-mm")),
        answers=("entailment", "neutral", "contradiction"),
    ),
    TaskSpec(
        name="qqp",
        labels=("not_duplicate", "duplicate"),
        columns=("question1", "question2"),
        metrics=("accuracy", "f1"),
        dev_splits=("dev",),
        folder="QQP",
        malformed_lines=40,
        hub_name="qqp",
        hub_columns=("question1", "question2"),
        tests=(("test", "QQP"),),
        test_id="id",
        answers=("0", "1"),
    ),
    TaskSpec(
        name="qnli",
        labels=("entailment", "not_entailment"),
        columns=("question", "sentence"),
        metrics=("accuracy",),
        dev_splits=("dev",),
        folder="QNLI",
        hub_name="qnli",
        hub_columns=("question", "sentence"),
        tests=(("test", "QNLI"),),
        answers=("entailment", "not_entailment"),
    ),
    TaskSpec(
        name="cola",
        labels=("unacceptable", "acceptable"),
        columns=("sentence",),
        metrics=("mcc", "accuracy"),
        dev_splits=("dev",),
        folder="CoLA",
        hub_name="cola",
        hub_columns=("sentence",),
        tests=(("test", "CoLA"),),
        answers=("0", "1"),
        bare_columns=("source", "label", "mark", "sentence"),
    ),
    TaskSpec(
        name="mrpc",
        labels=("not_equivalent", "equivalent"),
        columns=("sentence1", "sentence2"),
        metrics=("accuracy", "f1"),
        dev_splits=("dev",),
        folder="MRPC",
        hub_name="mrpc",
        hub_columns=("sentence1", "sentence2"),
        tests=(("test", "MRPC"),),
        answers=("0", "1"),
        official_columns=("#1 String", "#2 String"),
    ),
    TaskSpec(
        name="rte",
        labels=("entailment", "not_entailment"),
        columns=("sentence1", "sentence2"),
        metrics=("accuracy",),
        dev_splits=("dev",),
        folder="RTE",
        hub_name="rte",
        hub_columns=("sentence1", "sentence2"),
        tests=(("test", "RTE"),),
        answers=("entailment", "not_entailment"),
    ),
    TaskSpec(
        name="stsb",
        labels=("score",),
        columns=("sentence1", "sentence2"),
        metrics=("pearson", "spearman"),
        dev_splits=("dev",),
        kind="regression",
        folder="STS-B",
        hub_name="stsb",
        hub_columns=("sentence1", "sentence2"),
        tests=(("test", "STS-B"),),
    ),
    TaskSpec(
        name="wnli",
        labels=("not_entailment", "entailment"),
        columns=("sentence1", "sentence2"),
        metrics=("accuracy",),
        dev_splits=("dev",),
        folder="WNLI",
        hub_name="wnli",
        hub_columns=("sentence1", "sentence2"),
        tests=(("test", "WNLI"),),
        answers=("0", "1"),
    ),
    TaskSpec(
        name="conll",
        labels=(),
        columns=(),
        metrics=("entity_f1", "token_accuracy"),
        dev_splits=("dev",),
        kind="tokens",
    ),
    TaskSpec(
        name="squad",
        labels=("start", "end"),
        columns=("question", "context"),
        metrics=("exact_match", "answer_f1"),
        dev_splits=("dev",),
        kind="spans",
    ),
    TaskSpec(
        name="texts",
        labels=(),
        columns=(),
        metrics=("spearman", "recall_10"),
        dev_splits=("dev",),
        kind="embedding",
    ),
    TaskSpec(
        name="csv",
        labels=(),
        columns=(),
        metrics=("accuracy",),
        dev_splits=("dev",),
        split_by="auto",
    ),
    TaskSpec(
        name="demo",
        labels=(),
        columns=("text",),
        metrics=("accuracy",),
        dev_splits=("dev",),
    ),
)


def task_spec(name: str) -> TaskSpec:
    """Return the entry of the task called `name`.

    Raises:
        LadaError: no task has that name.
    """
    if name not in TASKS:
        raise LadaError(f"task.name={name}: there is no such task. Set one of {', '.join(TASKS)}.")
    return TASKS[name]
