"""What a sentence-transformers folder makes of its encoder's output, read without its code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lada.errors import LadaError
from lada.files import read_json
from lada.ops.vectors import POOLINGS

__all__ = ["ACTIVATIONS", "IDENTITY", "POOLINGS", "SIGMOID", "sigmoid_of", "vectors_of"]

MODULES, SETTINGS = "modules.json", "config_sentence_transformers.json"
TRANSFORMER, POOLING, NORMALIZE = "Transformer", "Pooling", "Normalize"
"""The last parts of the types of modules that are known; their paths differ between versions."""

SIGMOID, IDENTITY = ACTIVATIONS = (
    "torch.nn.modules.activation.Sigmoid",
    "torch.nn.modules.linear.Identity",
)
"""How a CrossEncoder with one output turns it into a score."""

_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
}
"""The keys of poolings before version 6 of sentence-transformers, one of which is true."""


def vectors_of(folder: Path | None, key: str = "teacher.path") -> dict[str, Any]:
    """The pooling of a model, and whether its vectors are normalized.

    Args:
        folder: of sentence-transformers, with a modules.json; without one, or None: the mean,
            normalized, as most published models have it.
        key: config key of the folder, for the error messages.

    Returns:
        ``pooling``, see `lada.ops.vectors.pool`, and ``normalize``.

    Raises:
        LadaError: it has other modules, or other settings that change its vectors.
    """
    if folder is None or not (folder / MODULES).exists():
        return {"pooling": "mean", "normalize": True}
    where = f"{key}={folder}"
    known = ([TRANSFORMER, POOLING], [TRANSFORMER, POOLING, NORMALIZE])
    modules = _modules(folder, where, known)
    if modules[0]["path"].strip("./"):
        raise LadaError(
            f"{where}: its encoder is in the folder {modules[0]['path']}. Load it by "
            "SentenceTransformer and save it again, which puts it next to modules.json."
        )
    _check_settings(folder, where)
    path = Path(modules[1]["path"])
    if path.is_absolute() or ".." in path.parts:
        raise LadaError(f"{where}: {MODULES} names {path}, outside of it. Restore the file.")
    pooling = _read(folder, str(path / "config.json"), where)
    return {"pooling": _mode(pooling, where), "normalize": len(modules) == 3}


def sigmoid_of(folder: Path | None, key: str = "teacher.path") -> bool | None:
    """Whether the scores of a CrossEncoder's folder are sigmoids of its outputs.

    Args:
        folder: of any model with one output.
        key: config key of the folder, for the error messages.

    Returns:
        None: it does not say.

    Raises:
        LadaError: it has modules after its output, or another activation.
    """
    if folder is None:
        return None
    where = f"{key}={folder}"
    if (folder / MODULES).exists():
        _modules(folder, where, ([TRANSFORMER],))
    found = _activation(folder, SETTINGS, where) or _activation(folder, "config.json", where)
    if found is None:
        return None
    name = str(found).rpartition(".")[2]
    if name not in ("Sigmoid", "Identity"):
        raise LadaError(
            f"{where}: its activation is {found}. Give a model with Sigmoid or Identity."
        )
    return name == "Sigmoid"


def _activation(folder: Path, file: str, where: str) -> Any:
    """The activation that a file names, by the key of any version; None: it names none."""
    config = _read(folder, file, where) if (folder / file).exists() else None
    if not isinstance(config, dict):
        return None
    part = config.get("sentence_transformers")
    inner = part.get("activation_fn") if isinstance(part, dict) else None
    outer = config.get("activation_fn") if file == SETTINGS else None
    return inner or outer or config.get("sbert_ce_default_activation_function")


def _modules(folder: Path, where: str, known: Sequence[list[str]]) -> list[dict[str, Any]]:
    """The modules of a folder, whose kinds are one of the ``known`` lists."""
    modules = _read(folder, MODULES, where)
    if not isinstance(modules, list) or not all(
        isinstance(m, dict) and isinstance(m.get("type"), str) and isinstance(m.get("path"), str)
        for m in modules
    ):
        raise LadaError(f"{where}: {MODULES} is not a list of modules. Restore the file.")
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    if kinds not in known:
        wanted = " or ".join(", ".join(one) for one in known)
        raise LadaError(f"{where}: its modules are {', '.join(kinds)}. Give a model of {wanted}.")
    return modules


def _mode(config: Any, where: str) -> str:
    found: list[Any] = []
    if isinstance(config, dict):
        found = [config["pooling_mode"]] if "pooling_mode" in config else _old_modes(config)
    if len(found) != 1 or found[0] not in POOLINGS:
        said = ", ".join(map(str, found)) or "not given"
        raise LadaError(
            f"{where}: its pooling is {said}. Give a model with one of {', '.join(POOLINGS)}."
        )
    return str(found[0])


def _old_modes(config: Mapping[str, Any]) -> list[str]:
    """The poolings that an older config switches on, whose vectors would be concatenated."""
    on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    return [_OLD_MODES.get(key, key) for key in on]


def _check_settings(folder: Path, where: str) -> None:
    """Reject settings that change texts before they are tokenized."""
    for name, key in (
        ("sentence_bert_config.json", "do_lower_case"),
        (SETTINGS, "default_prompt_name"),
    ):
        if not (folder / name).exists():
            continue
        config = _read(folder, name, where)
        if isinstance(config, dict) and config.get(key):
            raise LadaError(
                f"{where}: {key} in {name} is {config[key]!r}, which is not supported. Give a "
                "model that takes texts as they are."
            )


def _read(folder: Path, name: str, where: str) -> Any:
    try:
        return read_json(folder / name)
    except OSError as error:
        raise LadaError(
            f"{where}: {name} cannot be read ({error.strerror}). Restore the file."
        ) from None
    except ValueError as error:
        reason = " ".join(str(error).split())[:160]
        raise LadaError(f"{where}: {name} is not JSON ({reason}). Restore the file.") from None
