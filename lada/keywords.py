"""Keyword arguments of `lada.compress` as keys of the config, and back in messages."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lada.config import Config
from lada.config.whole import GROUPS as CLASSES
from lada.errors import LadaError
from lada.methods import MethodSettings
from lada.overrides import override
from lada.overrides import value as quoted_value
from lada.run.choices import config_of
from lada.schema import keys_of

KEYS = {
    "data_dir": "data.dir",
    "text": "task.text",
    "text_pair": "task.text_pair",
    "label": "task.label",
    "kind": "task.kind",
    "query": "task.query",
    "separator": "task.separator",
    "probabilities": "task.probabilities",
    "probabilities_weight": "task.probabilities_weight",
    "delimiter": "task.delimiter",
    "encoding": "task.encoding",
    "max_length": "task.max_length",
    "target": "target.ratio",
    "mb": "target.mb",
    "epochs": "optim.epochs",
    "steps": "optim.steps",
    "lr": "optim.lr",
    "batch_size": "optim.batch_size",
    "values": "artifact.values",
    "progress": "callbacks.progress",
    "seed": "seed",
    "compile": "compile",
    "submit": "submit",
    "resume": "resume",
}
"""Of keywords that are one key of the config."""

GROUPS = ("teacher", "ratios", "schedule", "distill", "optim", "data", "teacher_cache", "trainer",
          "callbacks", "report", "logger", "artifact", "paths")  # fmt: skip
"""Keywords that are a group of keys."""

_IN_MESSAGES = {key: name for name, key in KEYS.items()} | {
    "task.train_file": "train",
    "task.dev_file": "dev",
    "task.test_file": "test",
    "task.unlabeled_file": "unlabeled",
    "task.name": "task",
    "method.name": "method",
    "teacher.path": "model",
    "model.path": "model",
    "paths.outputs": "output",
    "hydra.run.dir": "output",
}
_NAMES = "|".join(map(re.escape, sorted(_IN_MESSAGES, reverse=True)))
_KEY = re.compile(rf"(?<![\w./-])({_NAMES})(?![\w/]|\.\w)")
_DEFAULTS = {"target": 7.5, "seed": 1, "values": "int8", "progress": "auto", "resume": "auto",
             "compile": False, "submit": False}  # fmt: skip
_PLAIN = re.compile(r"[\w./@+-]+")


class Request:
    """What a call of `lada.compress` asks for: choices and keys of the config.

    Raises:
        LadaError: an argument is of a type that it cannot be, or a key is given twice.
    """

    def __init__(self, given: Mapping[str, Any]):
        self._choices: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._silent: set[str] = set()
        self.choose("task", given["task"] or "csv")
        method = given["method"]
        if isinstance(method, str):
            self.choose("method", method)
        elif isinstance(method, MethodSettings):
            self.choose("method", method.name)
            self._put_group("method", method)
        else:
            raise LadaError(
                f"method: is of type {type(method).__name__}. Give the name of a method, or its "
                "settings."
            )
        for name in GROUPS:
            group = given[name]
            if isinstance(group, str) and name in ("ratios", "schedule", "distill", "logger"):
                self.choose(name, group)
            elif type(group) is CLASSES[name]:
                self._put_group(name, group)
            elif group is not None:
                raise LadaError(
                    f"{name}: is of type {type(group).__name__}. "
                    f"Give {CLASSES[name].__name__}(...)."
                )
        if given["mb"] is not None:
            self.choose("target", "bytes")
        for name, key in KEYS.items():
            value = given[name]
            if _is_default(name, value):
                continue
            if key in self._values and key not in self._silent:
                group = key.partition(".")[0]
                raise LadaError(f"{name}: is given in {group}= too. Give it once.")
            self.put(key, str(value) if isinstance(value, Path) else value)

    def choose(self, group: str, name: str) -> None:
        """Take a named choice of a group of the config."""
        self._choices[group] = name

    def put(self, key: str, value: Any, *, told: bool = True) -> None:
        """Set a key.

        Args:
            key: dotted.
            told: whether it is part of the command line that would do the same.
        """
        self._values[key] = value
        self._silent.discard(key)
        if not told:
            self._silent.add(key)

    def config(self) -> Config:
        """The config that this asks for.

        Raises:
            LadaError: a value is not what its key may have.
        """
        values: dict[str, Any] = {}
        for key, value in self._values.items():
            group, _, name = key.rpartition(".")
            if group:
                values.setdefault(group, {})[name] = value
            else:
                values[name] = value
        return config_of(self._choices, values)

    def words(self) -> list[str]:
        """The overrides of a command line that asks for the same."""
        chosen = [f"{group}={name}" for group, name in self._choices.items()]
        keys = [_word(key, value) for key, value in self._values.items() if key not in self._silent]
        return chosen + keys

    def _put_group(self, name: str, group: Any) -> None:
        defaults = {key: value.default for key, value in keys_of(type(group)).items()}
        for key, value in asdict(group).items():
            # Values that equal their default are not in the equivalent command line.
            self.put(f"{name}.{key}", value, told=value != defaults[key])


def _is_default(name: str, value: Any) -> bool:
    default = _DEFAULTS.get(name)
    return type(value) is type(default) and value == default


def _word(key: str, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return f"{key}={({None: 'null', True: 'true', False: 'false'})[value]}"
    if isinstance(value, list | tuple):
        return f"{key}=[{','.join(map(quoted_value, map(str, value)))}]"
    text = str(value)
    return f"{key}={text}" if _PLAIN.fullmatch(text) else override(key, text)


@contextmanager
def by_keywords(model: Any) -> Iterator[None]:
    """In the block, errors name keyword arguments of `lada.compress` where they name keys.

    Args:
        model: as it was given; what is no place has none that a message would tell.

    Example:
        >>> with by_keywords("tiny"):
        ...     raise LadaError("optim.lr=2: must be over 0 and at most 1")
        Traceback (most recent call last):
        ...
        lada.errors.LadaError: lr=2: must be over 0 and at most 1
    """
    try:
        yield
    except LadaError as error:
        lines = [_KEY.sub(lambda found: _IN_MESSAGES[found[1]], str(line)) for line in error.args]
        if not isinstance(model, str | Path):
            lines = [re.sub(r"^model=[^:]*:", "model:", line) for line in lines]
        error.args = tuple(lines)
        raise
