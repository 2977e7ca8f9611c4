"""config.json of an artifact: its content, and the checks before anything is built."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig, BertConfig, PreTrainedConfig

from lada.artifact.container import AGAIN, check_version
from lada.artifact.fields import check_fields, check_layers
from lada.errors import LadaError
from lada.files import parse_json, read_json
from lada.nn.families import FAMILIES, Family

CONFIG = "config.json"

EXTRA = ("name_or_path", "torch_dtype", "output_attentions", "output_hidden_states",
         "sentence_transformers")  # fmt: skip
"""Keys that a config may have in addition to its own. Others could ask for memory (``num_labels``
makes so many names) or for foreign code (``attn_implementation`` may name a kernel to fetch)."""

READ_BY_MODELS = ("attention_head_size", "cls_dropout", "conv_act", "conv_groups",
                  "conv_kernel_size", "embedding_size", "norm_rel_ebd", "pooler_hidden_size",
                  "position_buckets", "share_att_key")  # fmt: skip
"""Keys that DeBERTa's model reads although its config has no fields for them."""

OWN_ATTENTION = ("eager", "sdpa")
"""Attention implementations that need no foreign code."""


if TYPE_CHECKING:
    _Config = PreTrainedConfig
else:
    _Config = object  # a config's own fields would hide the defaults of its family


class LadaConfig(_Config):
    """What the configs of all artifacts have in addition to their family's.

    ``lada`` is the form of each compressed matrix: ``version``; ``values`` ("int8", "fp16",
    "fp32"); ``layers``: name of a module -> ``kind`` and its settings (``rank``); ``about``: a
    description for users; ``files``: name of a tokenizer's file -> its SHA-256, since version 2.0.
    """

    family = "bert"
    """The row of `lada.nn.families.FAMILIES`."""

    form = ""
    """Of a student of another class than its teacher's: what follows the family in the type."""

    lada: dict[str, Any] | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # Registers the models with the Auto classes, which look for them by a config. A config that
        # is unpickled or copied comes here too, but not to __post_init__.
        from lada.artifact.classes import register

        register(cls)  # type: ignore[arg-type]
        made: Self = super().__new__(cls)
        return made

    def __post_init__(self, **kwargs: Any) -> None:
        kept = {key: kwargs[key] for key in EXTRA if key in kwargs}
        if self.family == "deberta-v2":
            kept |= {key: kwargs[key] for key in READ_BY_MODELS if key in kwargs}
        if kwargs.get("attn_implementation") in OWN_ATTENTION:
            kept["attn_implementation"] = kwargs["attn_implementation"]
        super().__post_init__(**kept)


@strict
class LadaBertConfig(LadaConfig, BertConfig):
    """A BERT's config and, under ``lada``, the form of each compressed matrix."""

    model_type = "lada-bert"
    lada: dict[str, Any] | None = None


@strict
class LadaMiniAlbertConfig(LadaBertConfig):
    """The config of a shared layer (`lada.nn.minialbert`), applied ``num_hidden_layers`` times.

    Args:
        adapter_size: units of an adapter.
    """

    model_type = "lada-minialbert"
    form = "minialbert"
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
    form = "bilstm"
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
    form = "early-exit"
    exit_threshold: float = 0.0


def family_config(row: Family, like: type[LadaConfig] = LadaBertConfig) -> type[LadaConfig]:
    """The config class of a family's artifacts, made from transformers' own.

    Args:
        like: the class of BERT's artifacts of this form, whose keys it gets.
    """
    plain, own = CONFIG_MAPPING[row.model_type], inspect.get_annotations(like)
    kind = like.__name__.removeprefix("Lada").removeprefix("Bert")
    name = f"Lada{plain.__name__.removesuffix('Config')}{kind}"
    members = {
        "__doc__": f"A config of {row.model_type} and, under ``lada``, the form of each matrix.",
        "__module__": __name__,
        "__qualname__": name,
        "__annotations__": {"lada": dict[str, Any] | None, **own},
        "model_type": "-".join(filter(None, ("lada", row.model_type, like.form))),
        "family": row.model_type,
        "form": like.form,
        "lada": None,
        **{key: getattr(like, key) for key in own},
    }
    made: type[LadaConfig] = strict(type(name, (LadaConfig, plain), members))
    globals()[name] = made  # where pickle looks for it
    return made


CONFIGS: dict[str, type[LadaConfig]] = {}
"""The config class of each ``model_type``."""


def add_config(config: type[LadaConfig]) -> None:
    """Have config.json files of its ``model_type`` read as this class."""
    CONFIGS[config.model_type] = config
    AutoConfig.register(config.model_type, config)


for _config in (LadaBertConfig, LadaMiniAlbertConfig, LadaBiLstmConfig, LadaEarlyExitConfig):
    add_config(_config)
for _row in FAMILIES.values():
    if _row.model_type != LadaBertConfig.family:
        add_config(family_config(_row))
        add_config(family_config(_row, LadaEarlyExitConfig))
        if _row.minialbert:
            add_config(family_config(_row, LadaMiniAlbertConfig))


def config_from(stored: dict[str, Any]) -> LadaConfig:
    """The config object of a config.json.

    Raises:
        LadaError: its type of model is unknown.
        Exception: any error of transformers for invalid values.
    """
    kind = stored.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIGS:
        raise LadaError(f"model_type {kind!r} is not one of {', '.join(CONFIGS)}")
    found: LadaConfig = CONFIGS[kind].from_dict(dict(stored))
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
        raise LadaError(f"is not a config of a {stored.get('model_type')} ({line})") from None


def layers_of(ours: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The compressed layers in the part ``lada`` of a config.

    Raises:
        LadaError: one has an unknown kind, or lacks a setting of its kind.
    """
    return check_layers((ours or {}).get("layers", {}))


def config_text(config: LadaConfig) -> str:
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
