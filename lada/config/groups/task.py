"""The task and its files."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from lada.data.columns import several
from lada.data.tasks import TASKS, task_spec
from lada.errors import LadaError
from lada.heads.kinds import KINDS
from lada.schema import Column, Text, consistent, setting, settings
from lada.values import shown


def _is_known(name: str) -> str:
    if name not in TASKS:
        raise PydanticCustomError(
            "task", "no such task. Choose one of {names}.", {"names": ", ".join(TASKS)}
        )
    return name


def _is_kind(name: str) -> str:
    if name not in KINDS:
        raise PydanticCustomError(
            "kind", "no such kind. Choose one of {names}.", {"names": ", ".join(KINDS)}
        )
    return name


def _in_a_list(what: str) -> BeforeValidator:
    """Several names as the text of a JSON list, which is how the rest of the config has them."""

    def as_text(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        if len(value) < 2 or not all(isinstance(name, str) for name in value):
            raise PydanticCustomError(
                "list",
                "must be a {what} or a list of two {what}s or more, as texts.",
                {"what": what},
            )
        return json.dumps(list(value), ensure_ascii=False)

    return BeforeValidator(as_text)


Columns = Annotated[Column, _in_a_list("column")]
"""A column, or a list of them."""

Files = Annotated[Text, _in_a_list("file")]
"""A file, or a list of them."""

KindName = Annotated[Text, AfterValidator(_is_kind)]

TaskName = Annotated[Text, AfterValidator(_is_known)]


@settings("task")
class TaskConfig:
    """What is learned."""

    name: TaskName = setting("demo", "a built-in task, or `csv`: your own data")
    kind: KindName | None = setting(
        None,
        "of the labels: single_label, multi_label, regression, ...; null: by task and data",
        later=True,
    )
    max_length: int = setting(64, "tokens that an example is truncated to", least=4, most=512)
    train_file: Files | None = setting(
        None,
        "`task=csv`: CSV, TSV or JSON lines; `task=conll`: CoNLL or JSON lines; `task=squad`: "
        "SQuAD's JSON, CSV, TSV or JSON lines; `task=texts`: one text per line, or as csv; or "
        "`[a.txt,b.txt]`: several files; plain or .gz",
        reads=True,
        free=True,
    )
    dev_file: Text | None = setting(
        None,
        "the same, to score the result on; `task=texts`: pairs with scores, as csv",
        reads=True,
        free=True,
    )
    test_file: Text | None = setting(
        None,
        "the same, scored once beside it and used for no choice",
        reads=True,
        free=True,
        later=True,
    )
    unlabeled_file: Text | None = setting(
        None,
        "texts without labels, which the student learns from its teacher: as `train_file`, or .txt",
        reads=True,
        free=True,
        later=True,
    )
    text: Column | None = setting(
        None, "`task=csv`, `texts`: column of the (first) text; `conll`: of the words"
    )
    text_pair: Column | None = setting(
        None, "`task=csv`, `texts`: column of the second text; null: none"
    )
    label: Columns | None = setting(
        None,
        "`task=csv`, `texts`: column of the label; or `[a,b]`: columns of 0 and 1, a label each; "
        "`conll`: of the tags",
    )
    query: Column | None = setting(
        None,
        "`task.kind=regression`: column of the query, for rerankers; it may be a text's",
        later=True,
    )
    separator: Text | None = setting(
        None, "`task.kind=multi_label`: between labels in one column, `\\|`; null: JSON lists",
        free=True,
    )  # fmt: skip
    probabilities: Columns | None = setting(
        None,
        "`task=csv`: column of what another model says of the training examples; or `[a,b]`: a "
        "column for each class",
        later=True,
    )
    probabilities_weight: float | None = setting(
        None, "of these, the teacher's predictions have the rest; null: 0.5", least=0.0, most=1.0,
        later=True,
    )  # fmt: skip
    delimiter: Text | None = setting(
        None, "`task=csv`, `texts`: tab, semicolon, ...; null: by the files' names", free=True
    )
    encoding: Text | None = setting(
        None, "of the files: latin-1, utf-16, ...; null: UTF-8", free=True
    )

    @consistent("name", "train_file")
    def _several_files_are_texts(self) -> None:
        file = self.train_file
        if file is not None and len(several(file)) > 1 and self.name != "texts":
            raise LadaError(
                f"task.train_file={shown(file)}: is a list of files, which goes with task=texts. "
                "Give one file."
            )

    @property
    def given_weight(self) -> float:
        """The weight of what another model says."""
        return 0.5 if self.probabilities_weight is None else self.probabilities_weight

    @property
    def pairs(self) -> bool:
        """Whether its examples are pairs of texts."""
        spec = task_spec(self.name)
        return len(spec.columns) == 2 or (self.text_pair is not None and spec.name != "texts")
