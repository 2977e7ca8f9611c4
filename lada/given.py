"""A model as it is given from Python: a name, a folder, a hub id or an object."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lada.artifact.newfolder import new_folder
from lada.errors import LadaError
from lada.nn.autos import ENCODER, HEADED, model_class
from lada.nn.families import family_named
from lada.nn.pretrained import LAST, MODELS, check_encoder_folder, from_hub
from lada.nn.weights import stored_shape

NAMES = tuple(name for name in MODELS if name != "local")
"""Pretrained models that have a name of their own; `local` is what folders are called."""

HEADS = tuple(f"{name}.weight" for name in (*LAST, "qa_outputs"))


@dataclass(frozen=True)
class Given:
    """Where a run takes its model from.

    Attributes:
        name: choice of the config group ``model``.
        folder: of the model; None for one that has a name.
        is_teacher: whether it is taken as the teacher as it is.
    """

    name: str
    folder: Path | None
    is_teacher: bool


def take_model(model: Any, tokenizer: Any, *, fine_tune: bool, cache: Path) -> Given:
    """What a run starts from.

    Args:
        model: one of `NAMES`, a folder, a hub id, or a model of a known family; with
            ``fine_tune`` it may be an encoder without a head.
        tokenizer: of a model object.
        fine_tune: whether a teacher is trained from it.
        cache: folder in which model objects are kept, each by its content.

    Raises:
        LadaError: it is none of these, or has no classification head and is not to be fine-tuned.
    """
    if isinstance(model, PreTrainedModel):
        folder = _stored(model, tokenizer, cache, fine_tune=fine_tune)
        return Given("local", folder, is_teacher=not fine_tune)
    if not isinstance(model, str | Path):
        raise LadaError(
            f"model: is of type {type(model).__name__}. Give a transformers model, a "
            f"folder, a model id of the hub, or one of {', '.join(NAMES)}."
        )
    if tokenizer is not None:
        raise LadaError(
            f"tokenizer: goes with a model object, and model={model} has its own. Leave it out."
        )
    if str(model) in NAMES and not Path(model).is_dir():
        return Given(str(model), None, is_teacher=False)
    folder = Path(model)
    if not folder.is_dir():
        if isinstance(model, Path) or model.startswith((".", "/", "~")):
            raise LadaError(f"model={model}: no such folder. Give a transformers folder.")
        folder = from_hub(str(model))
    check_encoder_folder(folder, "teacher.path")
    if not fine_tune and all(stored_shape(folder, name) is None for name in HEADS):
        raise LadaError(
            f"model={model}: has no classification head. Give fine_tune=True to train a teacher "
            "from it, or give a fine-tuned classifier."
        )
    return Given("local", folder, is_teacher=not fine_tune)


def _stored(model: PreTrainedModel, tokenizer: Any, cache: Path, *, fine_tune: bool) -> Path:
    """A copy of a model object on disk, named by its content; a run begins from files."""
    row = family_named(model.config.model_type, "model")
    fit = [model_class(model.config, auto) for auto in HEADED]
    if fine_tune:
        fit.append(model_class(model.config, ENCODER))
    if not isinstance(model, tuple(fit)):
        encoder = isinstance(model, model_class(model.config, ENCODER))
        raise LadaError(
            f"model: is a {type(model).__name__}, which has no head. Give fine_tune=True to train "
            "a teacher from it."
            if encoder
            else f"model: is a {type(model).__name__}, not supported. Give a model of family "
            f"{row.model_type}: {', '.join(known.__name__ for known in fit)}."
        )
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        what = "is not given" if tokenizer is None else f"is of type {type(tokenizer).__name__}"
        raise LadaError(
            f"tokenizer: {what}. Give the tokenizer of the model, AutoTokenizer.from_pretrained"
            "(...)."
        )
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    digest = hashlib.sha256(save({name: tensor.clone() for name, tensor in tensors.items()}))
    digest.update(json.dumps(model.config.to_dict(), sort_keys=True, default=str).encode())
    digest.update(_tokenizer_text(tokenizer).encode())
    folder = cache / "models" / digest.hexdigest()[:32]
    if not folder.is_dir():
        with new_folder(folder) as temporary:
            model.save_pretrained(temporary, state_dict=tensors)
            tokenizer.save_pretrained(temporary)
    return folder


def _tokenizer_text(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = backend.to_str() if backend is not None else ""
    settings = json.dumps(tokenizer.init_kwargs, sort_keys=True, default=str)
    return "\n".join((type(tokenizer).__name__, settings, rules))
