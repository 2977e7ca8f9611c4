"""The compressed BERT as transformers knows it: ``import lada`` makes the Auto classes read it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
)
from transformers.utils import cached_file

from lada.artifact.codec import VALUES, encode
from lada.artifact.container import VERSION, WEIGHTS, Blobs, check_version, filled, reading, write
from lada.errors import LadaError
from lada.nn.compressed import factor_layers
from lada.nn.surgery import replace_empty_

CONFIG = "config.json"
SMALL = 2**14
"""Matrices of fewer entries are not worth the error of int8: a classifier of few classes."""

PLACES = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder",
          "token")  # fmt: skip
"""What `from_pretrained` takes to find a folder of the hub."""

KINDS = ("factors",)


@strict
class LadaBertConfig(BertConfig):
    """A BERT's config and, under ``lada``, the form of each compressed matrix.

    Args:
        lada: ``version``; ``values`` ("int8", "fp16", "fp32"); ``layers``: name of a module ->
            ``kind`` and what that needs (``rank``); ``about``: what a person may want to know.
    """

    model_type = "lada-bert"
    lada: dict[str, Any] | None = None


def config_of(model: BertForSequenceClassification, values: str, about: Any) -> LadaBertConfig:
    """The config of a student, or of a loaded artifact, as it is to be stored.

    Raises:
        LadaError: ``values`` is no type of values.
    """
    if values not in VALUES:
        raise LadaError(f"values={values}: choose one of {', '.join(VALUES)}")
    config = {k: v for k, v in model.config.to_dict().items() if k not in ("model_type", "lada")}
    layers = {
        name: {"kind": "factors", "rank": layer.rank}
        for name, layer in factor_layers(model).items()
    }
    config["lada"] = {"version": VERSION, "values": values, "layers": layers, "about": about}
    # No business of anyone's where its teacher lay; and it is no class of transformers.
    config |= {"_name_or_path": "", "architectures": [LadaBertForSequenceClassification.__name__]}
    made: LadaBertConfig = LadaBertConfig.from_dict(config)
    return made


class LadaBertForSequenceClassification(BertForSequenceClassification):
    """A BERT classifier whose matrices have the forms that its config says."""

    config_class = LadaBertConfig

    def __init__(self, config: LadaBertConfig):
        super().__init__(config)
        replace_empty_(self, {k: v["rank"] for k, v in _layers(config).items()})

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        config: LadaBertConfig | None = None,
        dtype: Any = None,
        device_map: Any = None,
        attn_implementation: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Read an artifact from a folder or the hub, strictly: every tensor there, none over.

        Args:
            config: one already read from there, possibly changed; the stored one must be whole
                all the same.
            dtype: of the weights; None or "auto": fp32.
            device_map: a device.
            attn_implementation: as in transformers.
            kwargs: where to look: ``revision``, ``cache_dir``, ``token``, ...

        Raises:
            LadaError: the folder is no artifact, or damaged; an argument is not known.
        """
        places = {k: kwargs.pop(k) for k in PLACES if k in kwargs}
        kwargs = {k: v for k, v in kwargs.items() if not k.startswith("_") and v is not None}
        for name in ("adapter_kwargs", "trust_remote_code"):  # the Auto classes pass them to all
            kwargs.pop(name, None)
        dtype = kwargs.pop("torch_dtype", dtype)
        if kwargs:
            raise LadaError(f"from_pretrained: {min(kwargs)} is not known to a lada model")
        file, weights = _files(str(pretrained_model_name_or_path), places)
        stored = read_config(file)
        config = LadaBertConfig.from_dict(stored) if config is None else config
        if attn_implementation is not None:
            config._attn_implementation = attn_implementation
        with reading(weights, stored) as blobs:
            model = _filled(cls, config, blobs)
        if isinstance(dtype, str) and dtype != "auto":
            dtype = getattr(torch, dtype)
        if isinstance(dtype, torch.dtype):
            model.to(dtype=dtype)
        if device_map is not None and device_map != "auto":
            model.to(device_map[""] if isinstance(device_map, dict) else device_map)
        model.eval()
        return model

    def save_pretrained(
        self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Write the model to a folder as it was read: the same values, the same bytes.

        Args:
            push_to_hub: send it to the hub too; ``kwargs``: ``repo_id``, ``private``, ``token``.

        Raises:
            LadaError: the folder cannot be written.
        """
        folder = Path(save_directory)
        ours = self.config.lada
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_model(folder, self, config_of(self, ours["values"], ours["about"]))
        except OSError as error:
            raise LadaError(f"{folder}: cannot be written ({error.strerror})") from None
        if push_to_hub:
            names = ("private", "token", "revision", "create_pr", "commit_message")
            passed = {name: kwargs[name] for name in names if name in kwargs}
            self.push_to_hub(kwargs.get("repo_id", folder.name), **passed)


M = TypeVar("M", bound=LadaBertForSequenceClassification)

AutoConfig.register(LadaBertConfig.model_type, LadaBertConfig)
AutoModelForSequenceClassification.register(LadaBertConfig, LadaBertForSequenceClassification)


def _files(place: str, places: Mapping[str, Any]) -> tuple[Path, Path]:
    """config.json and weights of a folder, or of a repository of the hub."""
    found = []
    for name in (CONFIG, WEIGHTS):
        try:
            found.append(Path(cached_file(place, name, **places)))
        except OSError as error:
            line = " ".join(str(error).split())[:200]
            raise LadaError(f"{place}: {name} cannot be had ({line}); give an artifact") from None
    return found[0], found[1]


def read_config(file: Path) -> dict[str, Any]:
    """config.json of an artifact, as far as it must be right before anything is built from it.

    Raises:
        LadaError: it is no artifact's, of another version, or says what cannot be.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LadaError(f"{file}: cannot be read ({error.strerror}); give an artifact") from None
    except (ValueError, RecursionError) as error:
        raise LadaError(f"{file}: is no JSON ({error})") from None
    if not isinstance(config, dict) or not isinstance(config.get("lada"), dict):
        raise LadaError(f"{file}: has no part 'lada'; give a folder that this project wrote")
    check_version(file, config["lada"].get("version"))
    try:
        _layers(LadaBertConfig.from_dict(dict(config)))
    except LadaError as error:
        raise LadaError(f"{file}: {error}") from None
    except Exception as error:  # whatever transformers' own checks raise
        line = " ".join(str(error).split())[:200]
        raise LadaError(f"{file}: is no config of a BERT ({line})") from None
    return config


def _layers(config: LadaBertConfig) -> dict[str, dict[str, Any]]:
    """The compressed layers that a config names, each checked."""
    layers = (config.lada or {}).get("layers", {})
    if not isinstance(layers, dict):
        raise LadaError("'layers' must map names of modules to their kind")
    for name, form in layers.items():
        if not isinstance(form, dict) or form.get("kind") not in KINDS:
            kind = form.get("kind") if isinstance(form, dict) else form
            raise LadaError(f"{name}: kind {kind!r} is not one of {', '.join(KINDS)}, known here")
        if type(form.get("rank")) is not int:
            raise LadaError(f"{name}: rank {form.get('rank')!r} is no whole number")
    return layers


def _filled(cls: type[M], config: LadaBertConfig, blobs: Blobs) -> M:
    """A model with the tensors of a file; nothing is allocated before all headers fit."""
    # Each layer has many tensors: more layers than those is a number out of the air.
    if config.num_hidden_layers > len(blobs.names):
        raise LadaError(f"{blobs.file}: no tensors for {config.num_hidden_layers} layers")
    try:
        with torch.device("meta"):
            model = cls(config)
    except LadaError as error:
        raise LadaError(f"{blobs.file}: {error}") from None
    except Exception as error:  # sizes that no tensor can have, heads that do not divide the width
        line = " ".join(str(error).split())[:200]
        raise LadaError(f"{blobs.file}: no such model can be built ({line})") from None
    shapes = stored_shapes(model)
    blobs.check(shapes)
    layers = factor_layers(model)
    state: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        values, mask = blobs.unpack(name, shape)
        state[name] = values
        owner, _, part = name.rpartition(".")
        if owner in layers and part in layers[owner].masks:
            state[f"{owner}.{layers[owner].masks[part]}"] = filled(mask, values)
        elif mask is not None:
            raise LadaError(f"{blobs.file}: {name} has dropped entries, but is kept whole")
    for name, layer in layers.items():
        state[f"{name}.active_rank"] = torch.tensor(layer.rank)
    model.load_state_dict(state, strict=True, assign=True)
    _make_buffers(model)
    return model


def _make_buffers(model: BertForSequenceClassification) -> None:
    """Make what is in no file: positions and types that are numbered, not learned."""
    for module in model.modules():
        left = [name for name, b in module.named_buffers(recurse=False) if b.is_meta]
        for name in left:
            module._buffers[name] = torch.empty_like(module._buffers[name], device="cpu")
        if left:
            model._init_weights(module)


def stored_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The tensors that a file keeps of a model, and their shapes."""
    return {name: tuple(value.shape) for name, (value, _) in stored(model).items()}


def stored(model: nn.Module) -> dict[str, tuple[Tensor, Tensor | None]]:
    """What a file keeps of a model: factors cut to the active rank, with their masks."""
    layers = factor_layers(model)
    out: dict[str, tuple[Tensor, Tensor | None]] = {}
    for name, value in model.state_dict().items():
        owner, _, part = name.rpartition(".")
        if owner not in layers or part == "bias":
            out[name] = value, None
        elif part in layers[owner].masks:
            layer = layers[owner]
            mask: Tensor = getattr(layer, layer.masks[part])
            out[name] = value[:, : layer.rank], mask[:, : layer.rank]
    return out


def write_model(folder: Path, model: nn.Module, config: LadaBertConfig) -> None:
    """Write weights and config.json into a folder.

    Raises:
        OSError, SafetensorError: the disk refuses.
        LadaError: a weight is no number.
    """
    assert config.lada is not None
    values, blobs = config.lada["values"], {}
    try:
        for name, (tensor, mask) in stored(model).items():
            tensor = tensor.detach().to("cpu", torch.float32)
            mask = None if mask is None else mask.cpu()
            blobs[name] = encode(name, tensor, mask, *_how(name, tensor, values))
    except ValueError as error:
        raise LadaError(f"{folder}: {error}") from None
    # As transformers would write it, so that reading and writing again changes nothing.
    text = config.to_json_string(use_diff=False)
    write(folder / WEIGHTS, blobs, json.loads(text))
    (folder / CONFIG).write_text(text, encoding="utf-8")


def _how(name: str, value: Tensor, values: str) -> tuple[str, int]:
    """Type of the values, and the axis of the scales: a factor's columns, a matrix's rows."""
    if values == "int8" and (value.dim() != 2 or value.numel() < SMALL):
        values = "fp16"
    return values, 1 if name.endswith((".factor_a", ".factor_b")) else 0
