"""Compressed models as classes of transformers: what those of all families have in common."""

import json
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.hub import cached_file

from lada.artifact.arguments import NOTHING_AMISS, parse_arguments
from lada.artifact.codec import FEW_BITS, VALUES, Broken, decode, encode
from lada.artifact.config import (
    CONFIG,
    LadaConfig,
    config_from,
    config_text,
    read_config,
)
from lada.artifact.container import AGAIN, WEIGHTS, Blobs, filled, reading, write
from lada.artifact.files import check_files, present
from lada.artifact.sentences import cross_encoder_fields
from lada.artifact.stored import how_stored, stored, stored_shapes
from lada.errors import LadaError
from lada.files import write_text
from lada.nn.compressed import compressed_layers
from lada.nn.device import move_
from lada.nn.factors import Factors
from lada.nn.families import FAMILIES


def config_of(
    model: PreTrainedModel, values: str, about: Any, files: Mapping[str, str] | None = None
) -> LadaConfig:
    """The config under which a student, or a loaded artifact, is stored.

    Args:
        files: digests of the tokenizer's files. None: the tokenizer is not known, and not covered.

    Raises:
        LadaError: ``values`` is not a type of values, or ``about`` is not JSON.
    """
    if values not in VALUES:
        raise LadaError(
            f"values={values}: there is no such type. Choose one of {', '.join(VALUES)}."
        )
    try:
        json.dumps(about)
    except (TypeError, ValueError, RecursionError) as error:
        raise LadaError(f"about: it is not JSON ({error}). Give plain JSON values.") from None
    ours = ("model_type", "lada", "sentence_transformers")
    config = {k: v for k, v in model.config.to_dict().items() if k not in ours}
    config |= cross_encoder_fields(about if isinstance(about, dict) else {})
    layers = {name: layer.form() for name, layer in compressed_layers(model).items()}
    if values in FEW_BITS and not layers:
        raise LadaError(
            f"values={values}: the model has no compressed matrix, and no other is stored in few "
            "bits. Give int8."
        )
    from lada.artifact.classes import class_for
    from lada.artifact.versions import version_of

    stored_as = class_for(model)
    covered = {} if files is None else {"files": dict(files)}
    version = version_of(stored_as, model.config, layers, about, values=values, files=bool(covered))
    form = {"version": version, "values": values, "layers": layers, "about": about}
    config["lada"] = form | covered
    # The path of its teacher is private; and the class is not one of transformers.
    config |= {"_name_or_path": "", "architectures": [stored_as.__name__]}
    # Neither changes a logit; other values fail on some texts.
    config |= {"return_dict": True, "chunk_size_feed_forward": 0}
    return stored_as.config_class.from_dict(config)


class Artifact(PreTrainedModel):
    """The base class of all stored students: read strictly, written as read."""

    config_class: type[LadaConfig]

    layer_tensors = 16
    """Fewest tensors of a layer: a config with too many layers for the file is rejected."""

    is_encoder = False
    """Whether it has no head."""

    is_part = False
    """Whether it is the encoder of an artifact that has a head."""

    @classmethod
    def within(cls, whole: Any) -> Any:
        """The encoder of a model with a head, as this class; the model is used up.

        Raises:
            LadaError: it has none.
        """
        encoder = getattr(whole, FAMILIES[whole.config.family].encoder)
        encoder.__class__ = cls  # a subclass of what it is
        encoder.is_part = True
        return encoder

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike[str] | None,
        *model_args: Any,
        config: PreTrainedConfig | str | PathLike[str] | None = None,
        dtype: Any = None,
        device_map: Any = None,
        attn_implementation: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Read an artifact from a folder or the hub, strictly: exactly the tensors of the model.

        Args:
            model_args: not supported, nor is a path as ``config``, or None as the first argument.
            config: one already read from there, possibly changed; the stored one must be valid
                all the same.
            dtype: of the weights; None or "auto": fp32.
            device_map: one device for the whole model; "auto": the GPU, if there is one.
            attn_implementation: as in transformers.
            kwargs: where to look: ``revision``, ``cache_dir``, ``token``, ...; and other arguments
                of transformers (`lada.artifact.arguments`).

        Returns:
            The model, in eval mode; with ``output_loading_info=True`` also the loading info, which
            is empty.

        Raises:
            LadaError: the folder is not an artifact, or is corrupt; its tokenizer's files are not
                those that config.json records; an argument is not supported.
        """
        if pretrained_model_name_or_path is None:
            raise LadaError(
                "pretrained_model_name_or_path=None: is not a path. Give a folder or a hub id."
            )
        if model_args:
            raise LadaError(
                f"from_pretrained: has {len(model_args)} arguments without a name after the first. "
                "Give them by name."
            )
        if isinstance(config, str | PathLike):
            raise LadaError(
                f"config={config}: is a path. Give a config, read by AutoConfig.from_pretrained."
            )
        wanted = parse_arguments(kwargs, dtype=dtype, device_map=device_map)
        file, weights = _files(str(pretrained_model_name_or_path), wanted.places)
        stored = read_config(file)
        config = config_from(stored) if config is None else config
        from lada.artifact.classes import auto_of, class_named

        try:
            whole = class_named(stored)
        except LadaError as error:
            raise LadaError(f"{file}: {error}. {AGAIN}") from None
        kind = cls.config_class.model_type
        if not isinstance(config, LadaConfig) or config.model_type != kind:
            raise LadaError(f"{file}: is a {config.model_type}. Read it with {auto_of(whole)}.")
        if whole is not cls and not (cls.is_encoder and whole.config_class is cls.config_class):
            raise LadaError(f"{file}: is a {whole.__name__}. Read it with {auto_of(whole)}.")
        if attn_implementation is not None:
            config._attn_implementation = attn_implementation
        for name, value in wanted.outputs.items():
            setattr(config, name, value)
        with reading(weights, stored) as blobs:
            if present(file.parent):  # a model may be stored without a tokenizer
                local = Path(pretrained_model_name_or_path).is_dir()
                check_files(file.parent, stored["lada"].get("files"), partial=not local)
            model = _filled(whole, config, blobs)
        if whole is not cls:
            model = cls.within(model)
        move_(model, wanted.device, wanted.dtype)
        model.eval()
        return (model, dict(NOTHING_AMISS)) if wanted.info else model

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load a state_dict as any module does, or the packed tensors of an artifact's file.

        transformers' Trainer loads its checkpoints (``resume_from_checkpoint``,
        ``load_best_model_at_end``) as packed tensors.

        Raises:
            LadaError: packed tensors are corrupt, or belong to a model of other forms.
        """
        if state_dict and all(v.dtype == torch.uint8 for v in state_dict.values()):
            state_dict, strict = _unpacked(self, state_dict), True
        return super().load_state_dict(state_dict, strict, assign)

    def save_pretrained(
        self,
        save_directory: str | PathLike[str],
        is_main_process: bool = True,
        state_dict: dict[Any, Any] | None = None,
        push_to_hub: bool = False,
        *more: Any,
        **kwargs: Any,
    ) -> None:
        """Write the model to a folder as it was read: the same values, the same packed tensors.

        Only the model is written: config.json records no digests of a tokenizer, which callers
        save before or after. `lada.save` writes both.

        Args:
            is_main_process: False writes nothing.
            state_dict: not supported.
            push_to_hub: send it to the hub too; ``kwargs``: ``repo_id``, ``private``, ``token``.
            more: not supported; ``kwargs`` may have the other arguments of transformers. Sizes of
                shards are ignored.

        Raises:
            LadaError: the folder cannot be written; a ``state_dict`` is given; an argument after
                ``push_to_hub`` is not given by name.
        """
        if self.is_part:
            raise LadaError(
                "save_pretrained: an encoder alone cannot be stored. Save the whole model as read "
                "by its Auto class, or its state_dict()."
            )
        if state_dict is not None:
            raise LadaError(
                "save_pretrained: state_dict is not supported. Load it into the model first."
            )
        if more:
            raise LadaError(
                "save_pretrained: an argument after push_to_hub has no name. Give it by name."
            )
        if not is_main_process:
            return
        folder = Path(save_directory)
        ours = self.config.lada
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_model(folder, self, config_of(self, ours["values"], ours["about"]))
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LadaError(
                f"{folder}: cannot be written ({reason}). Give another folder."
            ) from None
        if push_to_hub:
            names = ("private", "token", "revision", "create_pr", "commit_message")
            passed = {name: kwargs[name] for name in names if name in kwargs}
            self.push_to_hub(kwargs.get("repo_id", folder.name), **passed)


M = TypeVar("M", bound=Artifact)


def _files(place: str, places: Mapping[str, Any]) -> tuple[Path, Path]:
    """config.json and weights of a folder, or of a repository of the hub."""
    found = []
    for name in (CONFIG, WEIGHTS):
        try:
            file = cached_file(place, name, **places)
        except OSError as error:
            line = " ".join(str(error).split())[:200]
            raise LadaError(f"{place}: {name} cannot be read ({line}). Give an artifact.") from None
        assert file is not None  # or it has raised an error
        found.append(Path(file))
    return found[0], found[1]


def _filled(cls: type[M], config: LadaConfig, blobs: Blobs) -> M:
    """A model with the tensors of a file; nothing is allocated before all headers fit."""
    if cls.layer_tensors * config.num_hidden_layers > len(blobs.names):
        raise LadaError(
            f"{blobs.file}: has too few tensors for {config.num_hidden_layers} layers. {AGAIN}"
        )
    try:
        with torch.device("meta"):
            model = cls(config)
    except LadaError as error:
        raise LadaError(f"{blobs.file}: {error}") from None
    except Exception as error:  # sizes that no tensor can have, heads that do not divide the width
        line = " ".join(str(error).split())[:200]
        raise LadaError(f"{blobs.file}: no such model can be built ({line}). {AGAIN}") from None
    shapes = stored_shapes(model)
    blobs.check(shapes)
    state = _state(model, shapes, blobs.unpack, str(blobs.file))
    model.load_state_dict(state, strict=True, assign=True)
    _make_buffers(model)
    return model


def _state(
    model: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    unpack: Callable[[str, tuple[int, ...]], tuple[Tensor, Tensor | None]],
    place: str,
) -> dict[str, Tensor]:
    """The state_dict of a model from the tensors of a file.

    Args:
        unpack: name and shape of a tensor -> its values, and its mask or None.
        place: their origin, for messages.
    """
    layers = compressed_layers(model)
    state: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        values, mask = unpack(name, shape)
        state[name] = values
        owner, _, part = name.rpartition(".")
        if owner in layers and part in layers[owner].masks:
            state[f"{owner}.{layers[owner].masks[part]}"] = filled(mask, values)
        elif mask is not None:
            raise LadaError(f"{place}: {name} has pruned entries, but is a dense tensor. {AGAIN}")
    for name, layer in layers.items():
        if isinstance(layer, Factors):
            state[f"{name}.active_rank"] = torch.tensor(layer.rank)
    return state


def _unpacked(model: nn.Module, packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state_dict of a model from the packed tensors of a file."""
    shapes = stored_shapes(model)
    for name in sorted(shapes.keys() ^ packed.keys()):
        raise LadaError(
            f"load_state_dict: {name} {'is missing' if name in shapes else 'is not in the model'}. "
            "Give the file of this model."
        )

    def unpack(name: str, shape: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        try:
            return decode(name, packed[name].cpu().numpy().tobytes(), shape)
        except Broken as error:
            raise LadaError(f"load_state_dict: {name} is corrupt ({error}). {AGAIN}") from None

    return _state(model, shapes, unpack, "load_state_dict")


def _make_buffers(model: PreTrainedModel) -> None:
    """Make the buffers that no file has: positions and types, which are counted, not learned."""
    for module in model.modules():
        left = {name: b for name, b in module.named_buffers(recurse=False) if b.is_meta}
        for name, buffer in left.items():
            module._buffers[name] = torch.empty_like(buffer, device="cpu")
        if left:
            model._init_weights(module)


def write_model(folder: Path, model: nn.Module, config: LadaConfig) -> None:
    """Write weights and config.json into a folder.

    Raises:
        OSError, SafetensorError: a file cannot be written.
        LadaError: a weight is NaN or infinite, or a pruned entry is not zero.
    """
    assert config.lada is not None
    text = config_text(config)
    values, blobs = config.lada["values"], {}
    for layer_name, layer in compressed_layers(model).items():
        for part in layer.masks:
            if count := layer.revived(part):
                raise LadaError(
                    f"{layer_name}.{part}: {count} pruned entries are not zero, and the file would "
                    "not store them. Set them to zero with apply_masks_() of that layer, and "
                    "evaluate the model again. Its optimizer must clear its moments where entries "
                    "are pruned, and must not mix entries (Muon does)."
                )
    try:
        for name, (tensor, mask) in stored(model).items():
            tensor = tensor.detach().to("cpu", torch.float32)
            mask = None if mask is None else mask.cpu()
            how = how_stored(name, tensor, values, compressed=mask is not None)
            blobs[name] = encode(name, tensor, mask, *how)
    except ValueError as error:
        raise LadaError(f"{error}, so the model cannot be stored. Train it again.") from None
    write(folder / WEIGHTS, blobs, json.loads(text), config.lada["version"])
    write_text(folder / CONFIG, text)
