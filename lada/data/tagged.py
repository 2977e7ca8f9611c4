"""Texts with tagged words: from lists of words and tags, from character spans, and their names."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lada.data.columns import listed, rows_of, shown
from lada.data.jsonlines import read_objects
from lada.data.split import Split
from lada.data.textfile import read_lines
from lada.errors import LadaError
from lada.ops.metrics.schemes import LETTERS, to_bio

_WORD = re.compile(r"\w+|[^\w\s]")


class Tagged(NamedTuple):
    """A text whose words have tags."""

    where: str
    """Its name in messages, such as ``dev.conll line 3``."""
    text: str
    words: list[tuple[int, int]]
    """The [start, end) characters of each word in the text."""
    tags: list[str]
    """One per word, in BIO."""


class Fields(NamedTuple):
    """The keys of an example, as far as the config gives them."""

    text: str | None = None
    """Of its words or its text; None: words, tokens or text."""
    label: str | None = None
    """Of its tags or its spans; None: tags, ner_tags or spans."""

    def of(self, keys: Iterable[str]) -> tuple[str, str] | None:
        """The two keys of an example that has ``keys``; None: it lacks one.

        Example:
            >>> Fields().of(["id", "tokens", "ner_tags"])
            ('tokens', 'ner_tags')
        """
        has = set(keys)
        texts, labels = (
            _USUAL[place] if given is None else (given,) for place, given in enumerate(self)
        )
        for text in texts:
            for label in labels:
                # The usual names of a text go with those of spans.
                spans = self == FIELDS and (text == "text") != (label == "spans")
                if text in has and label in has and not spans:
                    return text, label
        return None


WORDS = ("words", "tokens")
"""Usual keys of lists of words."""
_USUAL = (*WORDS, "text"), ("tags", "ner_tags", "spans")
FIELDS = Fields()


def split_words(text: str) -> list[tuple[int, int]]:
    """Return the [start, end) characters of the words of a text.

    A word is a maximal run of letters, digits and underscores, or any other single character that
    is not whitespace.

    Example:
        >>> split_words("It's 5.")
        [(0, 2), (2, 3), (3, 4), (5, 6), (6, 7)]
    """
    return [match.span() for match in _WORD.finditer(text)]


def from_words(where: str, words: Sequence[object], tags: Sequence[object]) -> Tagged:
    """Make an example of words and their tags, in any scheme that `to_bio` reads.

    Its text is the words with a space between them.

    Raises:
        LadaError: there are no words, a word or a tag is not a string or empty, the numbers of
            words and tags differ, or a tag belongs to no scheme.
    """
    if len(words) != len(tags):
        raise LadaError(
            f"{where}: its numbers of words and tags differ, {len(words)} and {len(tags)}. Give "
            "one tag per word."
        )
    if not words:
        raise LadaError(f"{where}: has no words. Give some or delete the example.")
    spans, place = [], 0
    texts = []
    for word, tag in zip(words, tags, strict=True):
        if not isinstance(word, str) or not word.strip():
            raise LadaError(f"{where}: {word!r} is not a word. Give strings that are not empty.")
        if not isinstance(tag, str):
            raise LadaError(f"{where}: the tag {tag!r} is not a string. Give O, B-PER and so on.")
        check_tag(where, tag)
        texts.append(word)
        spans.append((place, place + len(word)))
        place += len(word) + 1
    return Tagged(where, _text(where, " ".join(texts)), spans, to_bio([str(t) for t in tags]))


def from_spans(where: str, text: object, spans: object) -> Tagged:
    """Make an example of a text and the character spans of its entities.

    Args:
        where: the name of the example in messages.
        text: any text; its words are those of `split_words`.
        spans: a list of objects with the keys start, end (characters, end excluded), and type or
            label.

    Raises:
        LadaError: the text has no words; a span is not such an object, lies outside the text, does
            not start and end at the edges of words, or overlaps another.

    Example:
        >>> spans = [{"start": 0, "end": 8, "type": "PER"}]
        >>> from_spans("train[0]", "Ada King left.", spans).tags
        ['B-PER', 'I-PER', 'O', 'O']
    """
    if not isinstance(text, str):
        raise LadaError(f"{where}: its text is {_kind(text)}. Give a string.")
    words = split_words(_text(where, text))
    if not words:
        raise LadaError(f"{where}: its text has no words. Fill it in or delete the example.")
    if not isinstance(spans, Sequence) or isinstance(spans, str):
        raise LadaError(f"{where}: its spans are {_kind(spans)}. Give a list of objects.")
    starts = {start: number for number, (start, _) in enumerate(words)}
    ends = {end: number for number, (_, end) in enumerate(words)}
    tags = ["O"] * len(words)
    for start, end, kind in sorted(_span(where, span) for span in spans):
        named = f"the span {start} to {end} ({kind})"
        if not 0 <= start < end <= len(text):
            raise LadaError(
                f"{where}: {named} does not lie in its text of {len(text)} characters. Correct it."
            )
        if start not in starts or end not in ends:
            raise LadaError(
                f"{where}: {named}, {shown(text[start:end])}, does not start and end at the edges "
                "of words. Move its edges."
            )
        first, last = starts[start], ends[end]
        if any(tag != "O" for tag in tags[first : last + 1]):
            raise LadaError(f"{where}: {named} overlaps another span. Keep one of them.")
        tags[first : last + 1] = [f"B-{kind}", *([f"I-{kind}"] * (last - first))]
    return Tagged(where, text, words, tags)


def _span(where: str, span: object) -> tuple[int, int, str]:
    if isinstance(span, Mapping):
        start, end = span.get("start"), span.get("end")
        kind = span.get("type", span.get("label"))
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (start, end))
        if whole and isinstance(kind, str) and kind.strip():
            return start, end, kind.strip()  # type: ignore[return-value]
    raise LadaError(
        f"{where}: {shown(json.dumps(span, default=str))} is not a span. Give "
        '{"start": 0, "end": 5, "type": "PER"}.'
    )


def _text(where: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LadaError(
            f"{where}: has half a surrogate pair, which is not a character. Delete it."
        ) from error
    return text


def check_tag(where: str, tag: str) -> None:
    """Raise `LadaError` where a tag belongs to no scheme, such as a part of speech."""
    letter, _, kind = tag.partition("-")
    # B and I alone are the tags of data with one type of entity.
    if tag not in ("O", "B", "I") and not (letter in LETTERS - {"O"} and kind):
        raise LadaError(
            f"{where}: {shown(tag)} is not a tag of entities. Give O, B-PER, I-PER and so on, or "
            "set the column of the tags."
        )


def read_json_tagged(path: Path, key: str, fields: Fields = FIELDS) -> list[Tagged]:
    """Read a JSON lines file of objects with words and tags, or with a text and spans.

    Args:
        path: the file, plain or `.gz`.
        key: config key of the file, for the error messages.
        fields: the keys of the objects.

    Raises:
        LadaError: a line is malformed, see `from_words` and `from_spans`.
    """
    rows = read_objects(read_lines(path, key), path, key)
    return [_example(f"{path} line {number}", row, fields) for number, row in rows]


def read_tagged_objects(given: Any, name: str, fields: Fields = FIELDS) -> list[Tagged]:
    """Read examples from an iterable of dicts or a `datasets.Dataset`.

    Args:
        given: dicts with words and tags, or with a text and spans; or a pandas frame. The tags of a
            data set may be ids of a `datasets.ClassLabel`.
        name: of the argument, for the error messages.
        fields: the keys of the dicts.

    Raises:
        LadaError: it holds no examples, or one is malformed; it is named as in ``train[3]``.
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise LadaError(f"{name}: is {_kind(given)}, not examples. Give a list of dicts.")
    names = None
    found = []
    for number, row in enumerate(rows_of(given)):
        where = f"{name}[{number}]"
        if not isinstance(row, Mapping):
            raise LadaError(
                f"{where}: is {_kind(row)}, not a dict. Give dicts such as "
                f'{{"{fields.text or "words"}": ["Ada"], "{fields.label or "tags"}": ["B-PER"]}}.'
            )
        if number == 0:
            keys = fields.of(row)
            names = None if keys is None else _tag_names(given, keys[1])
        if names is not None and keys is not None:
            row = {**row, keys[1]: list(_named(where, row[keys[1]], names))}
        found.append(_example(where, row, fields))
    if not found:
        raise LadaError(f"{name}: has no examples. Give at least one.")
    return found


def _tag_names(given: Any, column: str) -> Sequence[str] | None:
    """The names of a data set's tags by id; None where tags are strings."""
    loaded = sys.modules.get("datasets")
    if loaded is None or not isinstance(given, loaded.Dataset) or column not in given.column_names:
        return None
    feature = getattr(given.features[column], "feature", None)
    return feature.names if isinstance(feature, loaded.ClassLabel) else None


def _named(where: str, ids: Sequence[int], names: Sequence[str]) -> Iterator[str]:
    for number in ids:
        if not 0 <= number < len(names):
            raise LadaError(f"{where}: has no tag for a word ({number}). Delete the example.")
        yield names[number]


def _example(where: str, row: Mapping[str, object], fields: Fields) -> Tagged:
    keys = fields.of(row)
    if keys is None:
        needed = "'words' and 'tags', 'tokens' and 'ner_tags', or 'text' and 'spans'"
        if fields != FIELDS:
            named = {"task.text": fields.text, "task.label": fields.label}
            needed = " and ".join(f"{key}={name}" for key, name in named.items() if name)
            raise LadaError(
                f"{where}: has the keys {listed(list(map(str, row)))}, not {needed}. Correct it."
            )
        raise LadaError(f"{where}: has the keys {listed(list(map(str, row)))}. Give {needed}.")
    found = [_plain(row[key]) for key in keys]
    if isinstance(found[0], str) and keys[0] not in WORDS:
        return from_spans(where, *found)
    for key, values in zip(keys, found, strict=True):
        if not isinstance(values, Sequence) or isinstance(values, str):
            raise LadaError(f"{where}: {key!r} is {_kind(values)}. Give a list of strings.")
    return from_words(where, *found)  # type: ignore[arg-type]


def _plain(value: object) -> object:
    """A list for an array, as frames have them."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def _kind(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"


def split_tagged(
    rows: Mapping[str, list[Tagged]], sources: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, Split]]:
    """The tags of some lists of examples, and the examples with tags as ids.

    Args:
        rows: by the name of the split; "train" has the tags.
        sources: the names of the same in messages.

    Returns:
        The tags by id: O, then B- and I- of each type, the types sorted; and the splits.

    Raises:
        LadaError: "train" has no entities, another split has types that "train" lacks, or holds the
            same examples.
    """
    train, source = rows["train"], sources["train"]
    types = sorted(_types(train))
    if not types:
        raise LadaError(
            f"{source}: has no entities, since every tag is O. Set the column of the tags, or "
            "give examples with entities."
        )
    for name, each in rows.items():
        if unknown := sorted(_types(each) - set(types)):
            example = next(row for row in each if _types([row]) & set(unknown))
            raise LadaError(
                f"{example.where}: has the type {listed(unknown)}, which does not occur in "
                f"{source}. Its types are {listed(types)}."
            )
        if name != "train" and [row[1:] for row in train] == [row[1:] for row in each]:
            raise LadaError(
                f"{sources[name]}: holds the same examples as {source}. Give examples that are not "
                "used for training."
            )
    names = ("O", *(f"{letter}-{kind}" if kind else letter for kind in types for letter in "BI"))
    ids = {name: number for number, name in enumerate(names)}
    return names, {name: _split(name, each, ids) for name, each in rows.items()}


def _types(rows: Iterable[Tagged]) -> set[str]:
    return {tag.partition("-")[2] for row in rows for tag in row.tags if tag != "O"}


def _split(name: str, rows: list[Tagged], ids: Mapping[str, int]) -> Split:
    labels = [[row.words, [ids[tag] for tag in row.tags]] for row in rows]
    return Split(name, [row.text for row in rows], None, labels)
