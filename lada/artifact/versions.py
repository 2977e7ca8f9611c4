"""The version of a file: the oldest whose readers answer as it is meant (docs/format.md)."""

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedConfig

from lada.artifact.classes import root_of
from lada.artifact.codec import FEW_BITS
from lada.artifact.container import version_for
from lada.artifact.model import Artifact
from lada.heads import kind_of


def version_of(
    stored_as: type[Artifact],
    config: PreTrainedConfig,
    layers: Mapping[str, Mapping[str, Any]],
    about: Any,
    *,
    values: str,
    files: bool,
) -> str:
    """The version of an artifact.

    Args:
        stored_as: its class.
        layers: the form of each compressed layer.
        about: its description.
        values: their requested type.
        files: whether the digests of the tokenizer's files are recorded.
    """
    root = root_of(stored_as)
    found = [form["kind"] for form in layers.values()] + [stored_as.config_class.model_type, root]
    if values in FEW_BITS:
        found.append("few bits")
    if files:
        found.append("files")
    told = about.get("kind") if isinstance(about, Mapping) else None
    if root == "classifier" and (told or kind_of(config)) != "single_label":
        found.append("task")
    return version_for(found)
