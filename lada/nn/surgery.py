"""Which modules of a model are compressed, and their replacement by factorized ones."""

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

WORD_TABLE = "bert.embeddings.word_embeddings"
ENCODER = "bert.encoder.layer."
WHOLE = {
    "bert.embeddings.position_embeddings": "position table",
    "bert.embeddings.token_type_embeddings": "type table",
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
    """Count a BERT classifier: the word table and the encoder's matrices, and what stays whole.

    Compressed modules are found by place and type: the word table, and every Linear inside
    ``bert.encoder.layer``. What stays whole is named: biases, LayerNorm, position table, type
    table, pooler, classifier.

    Raises:
        LadaError: the model is no BERT classifier, or has a parameter that this project does not
            know; it is refused, since it would be neither compressed nor counted right.
    """
    if not isinstance(model, BertForSequenceClassification):
        raise LadaError(
            f"model: {type(model).__name__} is not supported; give a BERT sequence classifier"
        )
    matrices: list[Matrix] = []
    whole: dict[str, int] = {}
    for name, p in model.named_parameters():
        module = name.rpartition(".")[0]
        kind = _kind(model, name, module)
        if kind == "matrix":
            matrices.append(Matrix(module, p.shape[0], p.shape[1], module == WORD_TABLE))
        else:
            whole[kind] = whole.get(kind, 0) + p.numel()
    return Inventory(tuple(matrices), whole)


def _kind(model: nn.Module, name: str, module: str) -> str:
    layer = model.get_submodule(module)
    if isinstance(layer, Compressed):
        raise LadaError(f"model: {module} is compressed already; give the dense model")
    if name.rpartition(".")[2] not in ("weight", "bias"):
        raise LadaError(
            f"model: parameter {name} is not one of a plain BERT; it cannot be compressed"
        )
    for prefix, kind in WHOLE.items():
        if module == prefix or module.startswith(prefix + "."):
            return kind
    if module == WORD_TABLE:
        return "matrix"
    if isinstance(layer, nn.LayerNorm):
        return "LayerNorm"
    if module.startswith(ENCODER) and isinstance(layer, nn.Linear):
        return "biases" if name.endswith(".bias") else "matrix"
    raise LadaError(f"model: parameter {name} is not one of a plain BERT; it cannot be compressed")


def replace_(model: nn.Module, ranks: Mapping[str, int]) -> None:
    """Give each named layer its factorized form, by SVD of its weight, in place.

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
    """Give each named Linear or Embedding a mask, in place; nothing is dropped yet.

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
    """Give each named layer a compressed form of zeros, to be filled by a strict load.

    Args:
        forms: name of a Linear or Embedding -> what `Compressed.form` says: ``kind``, ``rank``.

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
