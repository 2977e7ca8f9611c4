"""The kinds of tasks that a model can be compressed for: one file per kind."""

from importlib import import_module
from typing import TYPE_CHECKING

from lada.errors import LadaError
from lada.heads.kinds import KINDS

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from lada.heads.base import Head

_CLASSES = {
    "single_label": "SingleLabel",
    "multi_label": "MultiLabel",
    "regression": "Regression",
    "tokens": "Tokens",
    "spans": "Spans",
    "embedding": "Embedding",
}
"""The class of each kind; its module is called as the kind."""

__all__ = ["find_head", "head_named", "kind_for", "kind_of"]


def find_head(name: str) -> "type[Head]":
    """The class of a kind; torch is imported here.

    Raises:
        LadaError: there is no such kind.
    """
    if name not in _CLASSES:
        raise LadaError(
            f"task.kind={name}: there is no such kind. Choose one of {', '.join(KINDS)}."
        )
    found: type[Head] = getattr(import_module(f"lada.heads.{name}"), _CLASSES[name])
    return found


def head_named(name: str, labels: tuple[str, ...] = (), metrics: tuple[str, ...] = ()) -> "Head":
    """A head of a kind.

    Raises:
        LadaError: there is no such kind.

    Example:
        >>> head_named("single_label", ("bad", "good")).deciding.title
        'accuracy'
    """
    return find_head(name)(labels, metrics or KINDS[name].metrics)


def kind_for(auto: str, config: "PreTrainedConfig") -> str:
    """The kind of a model by the name of its Auto class of transformers and its config."""
    kinds = [name for name, kind in KINDS.items() if kind.auto == auto]
    return kinds[0] if len(kinds) == 1 else kind_of(config)


def kind_of(config: "PreTrainedConfig") -> str:
    """The kind of a model with a head for whole texts, as far as its config says so."""
    if config.problem_type == "multi_label_classification":
        return "multi_label"
    if config.problem_type == "regression" or config.num_labels == 1:
        return "regression"
    return "single_label"
