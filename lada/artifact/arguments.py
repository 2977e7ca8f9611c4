"""Keyword arguments of transformers' ``from_pretrained`` and their meaning for an artifact."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from lada.errors import LadaError

PLACES = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder",
          "token")  # fmt: skip
"""Arguments that locate a folder of the hub."""

OUTPUTS = ("output_attentions", "output_hidden_states")
"""Fields of the config that may be set while reading."""

NO_EFFECT = ("adapter_kwargs", "code_revision", "ignore_mismatched_sizes", "low_cpu_mem_usage",
             "max_memory", "mirror", "offload_buffers", "offload_folder", "offload_state_dict",
             "resume_download", "trust_remote_code", "use_safetensors", "user_agent",
             "weights_only")  # fmt: skip
"""Arguments without effect on an artifact: it is one safetensors file, read completely and strictly
by code of this project, tensor by tensor, onto one device."""

NOTHING_AMISS: Mapping[str, Any] = MappingProxyType(
    {"missing_keys": [], "unexpected_keys": [], "mismatched_keys": [], "error_msgs": []}
)
"""The result of ``output_loading_info=True`` for an artifact: any of these would be an error."""


@dataclass(frozen=True)
class Arguments:
    """The parsed arguments.

    Attributes:
        places: arguments of `transformers.utils.cached_file`.
        dtype: of the weights; None for fp32.
        device: None for the CPU.
        outputs: fields of the config, by name.
        info: whether the loading info is returned too.
    """

    places: dict[str, Any]
    dtype: torch.dtype | None
    device: Any
    outputs: dict[str, Any]
    info: bool


def parse_arguments(kwargs: Mapping[str, Any], *, dtype: Any, device_map: Any) -> Arguments:
    """Parse the arguments; those without effect on an artifact are ignored.

    None and False have no effect, whatever the argument is.

    Args:
        kwargs: all but the named ones of `Artifact.from_pretrained`.

    Raises:
        LadaError: an argument would change the model in a way that is not supported.
    """
    asked = {
        name: value
        for name, value in kwargs.items()
        if name not in NO_EFFECT
        and not name.startswith("_")
        and ((value is not None and value is not False) or name in PLACES)
    }
    places = {name: asked.pop(name) for name in PLACES if name in asked}
    outputs = {name: asked.pop(name) for name in OUTPUTS if name in asked}
    info = bool(asked.pop("output_loading_info", False))
    kind = _as_dtype(asked.pop("torch_dtype", dtype))
    if asked:
        raise LadaError(
            f"from_pretrained: {min(asked)} is not supported for a lada model. Remove it."
        )
    return Arguments(places, kind, _as_device(device_map), outputs, info)


def _as_dtype(dtype: Any) -> torch.dtype | None:
    found = getattr(torch, dtype, dtype) if isinstance(dtype, str) else dtype
    if found in (None, "auto"):
        return None
    if not isinstance(found, torch.dtype):
        raise LadaError(
            f"from_pretrained: dtype={dtype} is not a dtype of torch. Give float32, for example."
        )
    return found


def _as_device(device_map: Any) -> Any:
    if device_map == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if isinstance(device_map, dict):
        if list(device_map) != [""]:
            raise LadaError("from_pretrained: device_map splits the model. Give one device.")
        return device_map[""]
    return device_map
