"""Questions on contexts, answered by a part of the context: SQuAD files and tables."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from lada.data.columns import needed, shown
from lada.data.delimited import parse_delimiter, read_delimited
from lada.data.jsonlines import read_objects
from lada.data.split import Split
from lada.data.table import BY_NAME, Layout
from lada.data.textfile import read_lines
from lada.errors import LadaError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_WRONG_OBJECT = 'Give {"question": "...", "context": "...", "answer": "...", "answer_start": 0}.'


class Answered(NamedTuple):
    """A question, its context and the answers that are right."""

    where: str
    """Its name in messages."""
    id: str
    """Its id in the file, or its number from 0."""
    question: str
    context: str
    answers: list[tuple[int, str]]
    """Where each answer starts in the context (a character), and its text; none: no answer."""


class QuestionColumns(NamedTuple):
    """The columns of a table of questions."""

    question: str = "question"
    context: str = "context"
    answer: str = "answer"
    answer_start: str = "answer_start"


QUESTION_COLUMNS = QuestionColumns()


def read_squad(path: Path, key: str) -> list[Answered]:
    """Read a file of SQuAD 1.1 or 2, plain or `.gz`.

    Args:
        path: the file.
        key: config key of the file, for the error messages.

    Returns:
        The questions in the order of the file. A question that ``is_impossible`` has no answers;
        its plausible answers are not read.

    Raises:
        LadaError: the file is not JSON or not of SQuAD's structure, has no questions, or an answer
            does not stand in its context at its start.
    """
    text = "".join(read_lines(path, key))
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise LadaError(
            f"{path}{line}: is not JSON. Give a SQuAD file, or one object per line in a .jsonl "
            "file."
        ) from error
    found: list[Answered] = []
    where = str(path)
    for title, article in _items(whole, "data", where):
        for place, paragraph in _items(article, "paragraphs", f"{where}: {title}"):
            context = _string(paragraph, "context", place)
            for at, entry in _items(paragraph, "qas", place):
                name = entry.get("id")
                number = str(len(found)) if name is None else str(name)
                said = at if name is None else f"{where}: question {shown(number)}"
                answers = [] if entry.get("is_impossible") else list(_answers(entry, said))
                question = _string(entry, "question", said)
                found.append(_answered(said, number, question, context, answers))
    if not found:
        raise LadaError(f"{key}={path}: has no questions. Give a file with questions.")
    return found


def _items(parent: Any, name: str, where: str) -> Iterable[tuple[str, dict[str, Any]]]:
    items = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(items, list):
        raise LadaError(f"{where}: has no list {name!r}. Give a file of SQuAD's structure.")
    start = f"{where}." if where.endswith("]") else f"{where}: "
    for number, item in enumerate(items):
        at = f"{start}{name}[{number}]"
        if not isinstance(item, dict):
            raise LadaError(f"{at}: is not an object. Give a file of SQuAD's structure.")
        yield at, item


def _string(parent: Mapping[str, Any], name: str, where: str) -> str:
    value = parent.get(name)
    if not isinstance(value, str):
        raise LadaError(f"{where}: has no text {name!r}. Give a string.")
    return value


def _answers(entry: Mapping[str, Any], where: str) -> Iterable[tuple[Any, Any]]:
    answers = entry.get("answers", [])
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise LadaError(f"{where}: its answers are not a list of objects. Give SQuAD's structure.")
    return ((answer.get("answer_start"), answer.get("text")) for answer in answers)


def read_question_table(
    path: Path, key: str, columns: QuestionColumns = QUESTION_COLUMNS, layout: Layout = BY_NAME
) -> list[Answered]:
    """Read a CSV, TSV or JSON lines file with one question per row, plain or `.gz`.

    A row whose answer is empty, or whose start is -1, has no answer. A line of JSON may have the
    answers in one key instead, ``{"answers": {"text": [...], "answer_start": [...]}}``.

    Args:
        path: the file.
        key: config key of the file, for the error messages.
        columns: the columns to read.
        layout: delimiter and encoding of the file.

    Raises:
        LadaError: the file is malformed, a column is missing, a question or context is empty, or an
            answer does not stand in its context at its start.
    """
    lines = read_lines(path, key, layout.encoding)
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if suffix in (".jsonl", ".json"):
        rows = read_objects(lines, path, key)
        return [
            question_of(f"{path} line {line}", number, row, columns)
            for number, (line, row) in enumerate(rows)
        ]
    given = layout.delimiter
    delimiter = _DELIMITERS.get(suffix) if given is None else parse_delimiter(given)
    if delimiter is None:
        raise LadaError(
            f"{key}={path}: the name has no known suffix. Give a .json file of SQuAD, or a .csv, "
            ".tsv or .jsonl file, or one of these with .gz after it."
        )
    wanted = {needed(name): name for name in columns}
    found: list[Answered] = []
    for line, fields in read_delimited(list(lines), path, wanted, delimiter):
        where = f"{path} line {line}"
        row = dict(zip(columns, fields, strict=True))
        found.append(question_of(where, len(found), row, columns))
    if not found:
        raise LadaError(f"{key}={path}: has no questions. Give a file with questions.")
    return found


def read_questions(path: Path, key: str, encoding: str | None = None) -> list[Answered]:
    """Read SQuAD's JSON if the suffix is ``.json``, else a table.

    Args:
        path: the file, plain or `.gz`.
        key: config key of the file, for the error messages.
        encoding: of tables, a name that Python knows; None for UTF-8.

    Raises:
        LadaError: the file cannot be read or is malformed.
    """
    if path.name.lower().removesuffix(".gz").endswith(".json"):
        return read_squad(path, key)
    return read_question_table(path, key, layout=Layout(None, encoding))


def read_question_objects(given: Any, name: str) -> list[Answered]:
    """Read questions from an iterable of dicts or a `datasets.Dataset`.

    Args:
        given: dicts with question, context, answer and answer_start, or with all answers in one
            key, as `read_question_table` describes them.
        name: of the argument, for the error messages.

    Raises:
        LadaError: it holds no questions, or one is malformed; it is named as in ``train[3]``.
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise LadaError(f"{name}: is of type {type(given).__name__}. Give a list of dicts.")
    found = []
    for number, row in enumerate(given):
        where = f"{name}[{number}]"
        if not isinstance(row, Mapping):
            raise LadaError(f"{where}: is of type {type(row).__name__}. {_WRONG_OBJECT}")
        found.append(question_of(where, number, row))
    if not found:
        raise LadaError(f"{name}: has no questions. Give at least one.")
    return found


def question_of(
    where: str, number: int, row: Mapping[str, Any], columns: QuestionColumns = QUESTION_COLUMNS
) -> Answered:
    """Make a question of the values of one row, object or dict.

    Args:
        where: its name in messages.
        number: of the example.
        row: the values by column, as `read_question_table` describes them.
        columns: the columns to read.

    Raises:
        LadaError: a value is missing or of the wrong type, or an answer does not stand in its
            context at its start.

    Example:
        >>> row = {"question": "Who left?", "context": "Ada left.", "answer": "Ada",
        ...        "answer_start": 0}
        >>> question_of("train[0]", 0, row).answers
        [(0, 'Ada')]
    """
    question = _string(row, columns.question, where)
    context = _string(row, columns.context, where)
    pairs: Iterable[tuple[Any, Any]]
    if columns.answer not in row and isinstance(both := row.get("answers"), Mapping):
        starts, texts = both.get("answer_start"), both.get("text")
        if not (_is_list(starts) and _is_list(texts)) or len(starts) != len(texts):
            raise LadaError(
                f"{where}: its answers are not two lists of the same length. Give "
                '{"text": ["..."], "answer_start": [0]}.'
            )
        pairs = zip(starts, texts, strict=True)
    elif columns.answer not in row or columns.answer_start not in row:
        missing = next(c for c in (columns.answer, columns.answer_start) if c not in row)
        raise LadaError(f"{where}: has no {missing!r}. {_WRONG_OBJECT}")
    else:
        start, text = row[columns.answer_start], row[columns.answer]
        empty = text is None or (isinstance(text, str) and not text.strip())
        pairs = [] if empty or str(start).strip() == "-1" else [(start, text)]
    return _answered(where, str(row.get("id", number)), question, context, pairs)


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _answered(
    where: str, name: str, question: str, context: str, answers: Iterable[tuple[Any, Any]]
) -> Answered:
    for kind, text in (("question", question), ("context", context)):
        if not text.strip():
            raise LadaError(f"{where}: its {kind} is empty. Fill it in or delete the example.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise LadaError(
                f"{where}: its {kind} has half a surrogate pair, which is not a character. "
                "Delete it."
            ) from error
    found = [_answer(where, context, start, text) for start, text in answers]
    return Answered(where, name, question, context, found)


def _answer(where: str, context: str, start: Any, text: Any) -> tuple[int, str]:
    """The answer as it stands in the context.

    As in SQuAD's own evaluation, any whitespace may stand for any other, and the whitespace around
    an answer is not part of it.
    """
    place = start if isinstance(start, int) and not isinstance(start, bool) else None
    if isinstance(start, str) and re.fullmatch(r"\s*[0-9]{1,15}\s*", start):
        place = int(start)
    if not isinstance(text, str) or not text.strip() or place is None:
        raise LadaError(
            f"{where}: an answer has the start {start!r} and the text {text!r}. Give the number of "
            "a character and a text, or no answer."
        )
    pattern = re.compile(r"\s+".join(map(re.escape, text.split())))
    first = place + len(re.match(r"\s*", context[place:] if place >= 0 else "").group())  # type: ignore[union-attr]
    if place >= 0 and (match := pattern.match(context, first)):
        return match.start(), match.group()
    other = pattern.search(context)
    hint = f"it stands at {other.start()}" if other else "it does not stand there at all"
    raise LadaError(
        f"{where}: the answer {shown(text)} does not stand in its context at character {start}; "
        f"{hint}. Correct the answer or its start."
    )


def split_questions(
    rows: Mapping[str, list[Answered]], sources: Mapping[str, str]
) -> dict[str, Split]:
    """The examples of some lists of questions.

    Args:
        rows: by the name of the split; "train" is trained on.
        sources: the names of the same in messages.

    Raises:
        LadaError: no question of "train" has an answer, or another split holds the same examples.
    """
    train, source = rows["train"], sources["train"]
    if not any(row.answers for row in train):
        raise LadaError(f"{source}: has no answers. Give questions with answers to train on.")
    for name, each in rows.items():
        if name != "train" and [row[2:] for row in train] == [row[2:] for row in each]:
            raise LadaError(
                f"{sources[name]}: holds the same examples as {source}. Give examples that are not "
                "used for training."
            )
    return {name: _split(name, each) for name, each in rows.items()}


def _split(name: str, rows: list[Answered]) -> Split:
    return Split(
        name,
        [row.question for row in rows],
        [row.context for row in rows],
        [row.answers for row in rows],
    )
