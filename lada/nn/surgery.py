"""The modules of a model that are compressed, and their replacement by compressed layers."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from transformers import BertForSequenceClassification

from lada.errors import LadaError
from lada.nn.compressed import Compressed
from lada.nn.factors import FactorizedEmbedding, FactorizedLinear
from lada.nn.kinds import RANKED
from lada.nn.masked import MaskedEmbedding, MaskedLinear
from lada.nn.residual import ResidualEmbedding, ResidualLinear
from lada.ops.budget import Inventory, Matrix

WORD_EMBEDDINGS = "bert.embeddings.word_embeddings"
ENCODER = "bert.encoder.layer."
WHOLE = {
    "bert.embeddings.position_embeddings": "position embeddings",
    "bert.embeddings.token_type_embeddings": "type embeddings",
    "bert.pooler": "pooler",
    "classifier": "classifier",
}

LAYERS: dict[str, tuple[type[Any], type[Any]]] = {
    "factors": (FactorizedLinear, FactorizedEmbedding),
    "masked": (MaskedLinear, MaskedEmbedding),
    "residual": (ResidualLinear, ResidualEmbedding),
}
"""The compressed form of a Linear and of an Embedding, for each of `lada.nn.kinds`."""


def inventory(model: BertForSequenceClassification) -> Inventory:
    """Count a BERT classifier: word embeddings, the encoder's matrices, and what stays dense.

    Compressed modules are found by name and type: the word embeddings, and every Linear inside
    ``bert.encoder.layer``. These stay dense: biases, LayerNorm, position and type embeddings,
    pooler, classifier.

    Raises:
        LadaError: the model is not a BERT classifier, or has an unknown parameter, which would be
            neither compressed nor counted correctly.
    """
    if not isinstance(model, BertForSequenceClassification):
        raise LadaError(
            f"model: {type(model).__name__} is not supported. Give a BERT sequence classifier."
        )
    matrices: list[Matrix] = []
    whole: dict[str, int] = {}
    for name, p in model.named_parameters():
        module = name.rpartition(".")[0]
        kind = _kind(model, name, module)
        if kind == "matrix":
            matrices.append(Matrix(module, p.shape[0], p.shape[1], module == WORD_EMBEDDINGS))
        else:
            whole[kind] = whole.get(kind, 0) + p.numel()
    return Inventory(tuple(matrices), whole)


def _kind(model: nn.Module, name: str, module: str) -> str:
    layer = model.get_submodule(module)
    if isinstance(layer, Compressed):
        raise LadaError(f"model: {module} is already compressed. Give the dense model.")
    if name.rpartition(".")[2] not in ("weight", "bias"):
        raise LadaError(
            f"model: parameter {name} is not one of a plain BERT. Give a plain BERT classifier."
        )
    for prefix, kind in WHOLE.items():
        if module == prefix or module.startswith(prefix + "."):
            return kind
    if module == WORD_EMBEDDINGS:
        return "matrix"
    if isinstance(layer, nn.LayerNorm):
        return "LayerNorm"
    if module.startswith(ENCODER) and isinstance(layer, nn.Linear):
        return "biases" if name.endswith(".bias") else "matrix"
    raise LadaError(
        f"model: parameter {name} is not one of a plain BERT. Give a plain BERT classifier."
    )


def replace_(model: nn.Module, ranks: Mapping[str, int]) -> None:
    """Replace each named layer by its factorized form, by SVD of its weight, in place.

    Args:
        ranks: name of a Linear or Embedding -> rank.

    Raises:
        LadaError: a named layer is neither.
    """
    for name, rank in ranks.items():
        layer = model.get_submodule(name)
        new: Compressed
        if isinstance(layer, nn.Embedding):
            new = FactorizedEmbedding.from_embedding(layer, rank)
        elif isinstance(layer, nn.Linear):
            new = FactorizedLinear.from_linear(layer, rank)
        else:
            raise LadaError(f"model: {name} is a {type(layer).__name__}, not Linear or Embedding")
        model.set_submodule(name, new)


def mask_(model: nn.Module, names: Iterable[str]) -> None:
    """Replace each named Linear or Embedding by a masked one, in place; nothing is pruned yet.

    Raises:
        LadaError: a named layer is neither.
    """
    for name in names:
        layer = model.get_submodule(name)
        if isinstance(layer, nn.Embedding):
            model.set_submodule(name, MaskedEmbedding.from_embedding(layer))
        elif isinstance(layer, nn.Linear):
            model.set_submodule(name, MaskedLinear.from_linear(layer))
        else:
            raise LadaError(f"model: {name} is a {type(layer).__name__}, not Linear or Embedding")


def replace_empty_(model: nn.Module, forms: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace each named layer by a compressed form of zeros, to be filled by a strict load.

    Args:
        forms: name of a Linear or Embedding -> its `Compressed.form`: ``kind``, ``rank``.

    Raises:
        LadaError: a named layer is missing, neither Linear nor Embedding, or too small.
    """
    for name, form in forms.items():
        try:
            layer = model.get_submodule(name)
        except AttributeError:
            raise LadaError(f"artifact: the model has no layer {name}") from None
        if not isinstance(layer, nn.Linear | nn.Embedding):
            raise LadaError(f"artifact: {name} is a {type(layer).__name__}, not a matrix")
        m, n = layer.weight.shape
        parts = [] if form["kind"] == "factors" else [torch.zeros(m, n)]
        if form["kind"] in RANKED:
            rank = form["rank"]
            if not 1 <= rank <= min(m, n):
                raise LadaError(
                    f"artifact: {name} has rank {rank}; {m} x {n} allows 1..{min(m, n)}"
                )
            parts = [torch.zeros(m, rank), torch.zeros(n, rank), *parts]
        linear, embedding = LAYERS[form["kind"]]
        if isinstance(layer, nn.Embedding):
            model.set_submodule(name, embedding(*parts))
        else:
            bias = None if layer.bias is None else torch.zeros(m)
            model.set_submodule(name, linear(*parts, bias))
