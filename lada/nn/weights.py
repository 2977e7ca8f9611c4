"""The weights of a pretrained folder: one safetensors file, or several with an index."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from lada.errors import LadaError
from lada.files import check_regular, read_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def weight_files(folder: Path) -> list[Path]:
    """The files with a folder's tensors, in order of name; none if it has no safetensors.

    Raises:
        LadaError: the index is unreadable, or names a file that is missing, not regular or
            elsewhere.
    """
    single = folder / WEIGHTS
    if single.exists():
        check_regular(single)
        return [single]
    index = folder / INDEX
    if not index.exists():
        return []
    try:
        names = set(read_json(index)["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        names = set()
    if not names or not all(isinstance(n, str) and n.endswith(".safetensors") for n in names):
        raise LadaError(f"{index}: has no readable weight_map. Save the model again.")
    for name in sorted(names):
        if Path(name).name != name or "\\" in name or "\x00" in name:
            raise LadaError(f"{index}: names {name!r}, which is not a file next to it.")
        if not (folder / name).exists():
            raise LadaError(f"{folder}: {name} is missing, which {INDEX} names. Copy it there.")
        check_regular(folder / name)
    return [folder / name for name in sorted(names)]


def stored_shape(folder: Path, tensor: str) -> tuple[int, ...] | None:
    """Shape of a stored tensor, from the headers alone; None if there is none of this name.

    Raises:
        LadaError: a file is not a safetensors file.
    """
    for file in weight_files(folder):
        try:
            with safe_open(file, "pt") as stored:
                if tensor in stored.keys():  # noqa: SIM118 - it is not a dict
                    return tuple(stored.get_slice(tensor).get_shape())
        except (OSError, SafetensorError) as error:
            raise LadaError(f"{file}: cannot be loaded ({error}). Copy it again.") from None
    return None


def no_weights(folder: Path, key: str) -> str:
    """The message for a folder without safetensors: how pickled weights are converted."""
    found = next((name for name in PICKLED if (folder / name).exists()), None)
    if found is None:
        return (
            f"{key}={folder}: has no {WEIGHTS} (pickled weights are never loaded). "
            "Save the model with safetensors."
        )
    # An encoder's checkpoint has no classifier: it would be saved with a random one.
    kind = "" if key in ("model.path", "method.path") else "ForSequenceClassification"
    place = str(folder)
    return (
        f"{key}={folder}: has no {WEIGHTS}; {found} is pickled, and never loaded. Convert it in "
        f"Python: from transformers import AutoModel{kind} as Model; "
        f"Model.from_pretrained({place!r}).save_pretrained({place!r})"
    )
