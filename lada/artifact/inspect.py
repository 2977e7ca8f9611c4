"""The content of an artifact's file, matrix by matrix."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from lada.artifact.codec import Header
from lada.artifact.config import CONFIG, CONFIGS, read_config
from lada.artifact.container import WEIGHTS, reading
from lada.artifact.folder import load
from lada.errors import LadaError
from lada.nn.compressed import compressed_layers
from lada.nn.families import word_embeddings
from lada.nn.trim import position_embeddings


@dataclass(frozen=True)
class Part:
    """One compressed matrix, or one dense tensor.

    Attributes:
        shape: of the weight that it replaces.
        rank: None where the kind has none.
        density: unpruned share of the entries of its tensors.
        layouts, values: how its tensors are stored, each named once.
        stored_bytes: of its tensors in the file, headers included.
        error: distance of the weight from the teacher's, relative to the teacher's norm; None
            without a teacher, if its tensor is all zeros, if the teacher has no such part (for
            students that are not BERT), and of word embeddings if the teacher has more tokens.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    rank: int | None
    density: float
    layouts: str
    values: str
    stored_bytes: int
    error: float | None


def inspect(folder: Path, teacher: PreTrainedModel | None = None) -> list[Part]:
    """All parts of an artifact, in the model's order; factors of a matrix are one part.

    Raises:
        LadaError: the folder is not an artifact, or the teacher has other shapes.
    """
    classifier = load(folder)
    config = read_config(folder / CONFIG)
    with reading(folder / WEIGHTS, config) as blobs:
        headers = {name: (blobs.header(name), blobs.size(name)) for name in blobs.names}
    layers = compressed_layers(classifier.model)
    like_bert = config["model_type"] == f"lada-{CONFIGS[config['model_type']].family}"
    positions = f"{position_embeddings(classifier.model)}.weight"
    words = word_embeddings(classifier.model)
    names = [n for n in classifier.model.state_dict() if n in headers]
    theirs = None if teacher is None else teacher.state_dict()
    out, seen = [], set()
    for name in names:
        owner, _, part = name.rpartition(".")
        if owner in layers and part != "bias":
            if owner in seen:
                continue
            seen.add(owner)
            layer = layers[owner]
            weight, rank, kind = layer.product(), layer.form().get("rank"), layer.kind
            found = [headers[f"{owner}.{p}"] for p in layer.masks]
            shown, dense = owner, f"{owner}.weight"
        else:
            weight, rank, kind = classifier.model.state_dict()[name], None, "dense"
            found, shown, dense = [headers[name]], name, name
        error = None
        if theirs is not None:
            other = theirs.get(dense)
            if other is not None and dense == positions:
                other = other[: len(weight)]  # the artifact's may be cut
            # Word embeddings of fewer tokens are not rows of the same numbers.
            fewer = shown == words and other is not None and len(weight) < len(other)
            if not fewer and (like_bert or _same(weight, other)):
                error = _distance(weight, other, shown)
        out.append(_part(shown, kind, tuple(weight.shape), rank, found, error))
    return out


def _part(
    name: str,
    kind: str,
    shape: tuple[int, ...],
    rank: int | None,
    found: list[tuple[Header, int]],
    error: float | None,
) -> Part:
    headers = [header for header, _ in found]
    return Part(
        name,
        kind,
        shape,
        rank,
        sum(h.unpruned for h in headers) / sum(h.size for h in headers),
        "+".join(dict.fromkeys(h.layout for h in headers)),
        "+".join(dict.fromkeys(h.values for h in headers)),
        sum(size for _, size in found),
        error,
    )


def _same(weight: torch.Tensor, theirs: torch.Tensor | None) -> bool:
    return theirs is not None and theirs.shape == weight.shape


def _distance(weight: torch.Tensor, theirs: torch.Tensor | None, name: str) -> float | None:
    if theirs is None or not _same(weight, theirs):
        raise LadaError(
            f"--teacher: it has no {name} of shape {tuple(weight.shape)}. Give the teacher of this "
            "model."
        )
    norm = float(theirs.norm())
    return float((weight.detach() - theirs).norm()) / norm if norm else None
