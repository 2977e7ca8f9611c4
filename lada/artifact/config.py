"""config.json of an artifact: its content, and the checks before anything is built."""

from pathlib import Path
from typing import Any, Self

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, BertConfig

from lada.artifact.container import AGAIN, check_version
from lada.artifact.fields import check_fields, check_layers
from lada.errors import LadaError
from lada.files import parse_json, read_json

CONFIG = "config.json"

EXTRA = ("name_or_path", "torch_dtype", "output_attentions", "output_hidden_states")
"""Keys that a config may have in addition to its own. Others could ask for memory (``num_labels``
makes so many names) or for foreign code (``attn_implementation`` may name a kernel to fetch)."""

OWN_ATTENTION = ("eager", "sdpa")
"""Attention implementations that need no foreign code."""


@strict
class LadaBertConfig(BertConfig):
    """A BERT's config and, under ``lada``, the form of each compressed matrix.

    Args:
        lada: ``version``; ``values`` ("int8", "fp16", "fp32"); ``layers``: name of a module ->
            ``kind`` and its settings (``rank``); ``about``: a description for users; ``files``:
            name of a tokenizer's file -> its SHA-256, since version 2.0.
    """

    model_type = "lada-bert"
    lada: dict[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # Registers the models with the Auto classes, which look for them by a config. A config that
        # is unpickled or copied comes here too, but not to __post_init__.
        import lada.artifact.encoder  # noqa: F401

        made: Self = super().__new__(cls)
        return made

    def __post_init__(self, **kwargs: Any) -> None:
        kept = {key: kwargs[key] for key in EXTRA if key in kwargs}
        if kwargs.get("attn_implementation") in OWN_ATTENTION:
            kept["attn_implementation"] = kwargs["attn_implementation"]
        super().__post_init__(**kept)


@strict
class LadaMiniAlbertConfig(LadaBertConfig):
    """The config of a shared layer (`lada.nn.minialbert`), applied ``num_hidden_layers`` times.

    Args:
        adapter_size: units of an adapter.
    """

    model_type = "lada-minialbert"
    adapter_size: int = 1


@strict
class LadaBiLstmConfig(LadaBertConfig):
    """The config of a BiLSTM (`lada.nn.bilstm`); it uses BERT's keys for tokens and labels only.

    Args:
        lstm_size: width of the states of one direction.
        dense_size: units of the layer between them and the classes.
        pairs: whether examples are pairs.
    """

    model_type = "lada-bilstm"
    lstm_size: int = 1
    dense_size: int = 1
    pairs: bool = False


@strict
class LadaEarlyExitConfig(LadaBertConfig):
    """The config of a BERT with early exits (`lada.nn.early_exit`).

    Args:
        exit_threshold: from 0, always all layers, to 1, always the first.
    """

    model_type = "lada-early-exit"
    exit_threshold: float = 0.0


CONFIGS: dict[str, type[LadaBertConfig]] = {
    config.model_type: config
    for config in (LadaBertConfig, LadaMiniAlbertConfig, LadaBiLstmConfig, LadaEarlyExitConfig)
}
for _kind, _class in CONFIGS.items():
    AutoConfig.register(_kind, _class)


def config_from(stored: dict[str, Any]) -> LadaBertConfig:
    """The config object of a config.json.

    Raises:
        LadaError: its type of model is unknown.
        Exception: any error of transformers for invalid values.
    """
    kind = stored.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIGS:
        raise LadaError(f"model_type {kind!r} is not one of {', '.join(CONFIGS)}")
    found: LadaBertConfig = CONFIGS[kind].from_dict(dict(stored))
    return found


def read_config(file: Path) -> dict[str, Any]:
    """Read and check config.json of an artifact, before anything is built from it.

    Raises:
        LadaError: it is not of an artifact, of another version, or has invalid values.
    """
    try:
        config = read_json(file)
    except OSError as error:
        raise LadaError(f"{file}: cannot be read ({error.strerror}). Give an artifact.") from None
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise LadaError(f"{file}: is not JSON ({reason}). {AGAIN}") from None
    if not isinstance(config, dict) or not isinstance(config.get("lada"), dict):
        raise LadaError(f"{file}: has no part 'lada'. Give a folder that this project wrote.")
    check_version(file, config["lada"].get("version"))
    try:
        check_config(config)
    except LadaError as error:
        raise LadaError(f"{file}: {error}. {AGAIN}") from None
    return config


def check_config(stored: dict[str, Any]) -> None:
    """Reject a config that no model can be built from, or that fails at use.

    Raises:
        LadaError: with the field's name and value.
    """
    check_fields(stored)
    try:
        config_from(stored)
    except LadaError:
        raise
    except Exception as error:  # whatever transformers' own checks raise
        line = " ".join(str(error).split())[:200]
        raise LadaError(f"is not a config of a BERT ({line})") from None


def layers_of(ours: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The compressed layers in the part ``lada`` of a config.

    Raises:
        LadaError: one has an unknown kind, or lacks a setting of its kind.
    """
    return check_layers((ours or {}).get("layers", {}))


def config_text(config: LadaBertConfig) -> str:
    """The text of config.json as transformers would write it; a round trip does not change it.

    Raises:
        LadaError: reading it would reject a value.
    """
    text: str = config.to_json_string(use_diff=False)
    try:
        check_config(parse_json(text))
    except (LadaError, ValueError) as error:
        raise LadaError(
            f"the model cannot be stored: config.json: {error}. Correct its config."
        ) from None
    return text
