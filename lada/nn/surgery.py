"""The modules of a model that are compressed, and their replacement by compressed layers."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from lada.errors import LadaError
from lada.nn.compressed import Compressed
from lada.nn.factors import FactorizedEmbedding, FactorizedLinear
from lada.nn.families import POOLER, encoder_prefix, family_of, word_embeddings
from lada.nn.kinds import RANKED
from lada.nn.masked import MaskedEmbedding, MaskedLinear
from lada.nn.residual import ResidualEmbedding, ResidualLinear
from lada.ops.budget import Inventory, Matrix
from lada.ops.factorizers import FACTORIZERS
from lada.ops.statistics import NOTHING, Statistics

LAYERS: dict[str, tuple[type[Any], type[Any]]] = {
    "factors": (FactorizedLinear, FactorizedEmbedding),
    "masked": (MaskedLinear, MaskedEmbedding),
    "residual": (ResidualLinear, ResidualEmbedding),
}
"""The compressed form of a Linear and of an Embedding, for each of `lada.nn.kinds`."""


HEAD = "classifier"
"""The name in tables of all that is outside the encoder."""


def inventory(model: PreTrainedModel, *, pooler: bool = False) -> Inventory:
    """Count a model: word embeddings, the encoder's matrices, and what stays dense.

    Compressed modules are found by the row of the family (`lada.nn.families`) and by type: the word
    embeddings, and every Linear inside the encoder that the row does not name as ``whole``. These
    stay dense: biases, LayerNorm, what the row names, and the head, which is all that is outside
    the encoder. A layer that is applied several times is counted once.

    Args:
        pooler: whether the pooler is a matrix to compress, too.

    Raises:
        LadaError: the family is unknown, or the model has an unknown parameter, which would be
            neither compressed nor counted correctly.
    """
    if not isinstance(model, PreTrainedModel):
        raise LadaError(
            f"model: {type(model).__name__} is not supported. Give an encoder of transformers."
        )
    row, prefix, words = family_of(model.config), encoder_prefix(model), word_embeddings(model)
    kept = {path: kind for path, kind in row.whole.items() if not (pooler and kind == POOLER)}
    plain = _plain_names(model)
    matrices: list[Matrix] = []
    whole: dict[str, int] = {}
    for name, p in model.named_parameters():
        module = name.rpartition(".")[0]
        layer = model.get_submodule(module)
        if isinstance(layer, Compressed):
            raise LadaError(f"model: {module} is already compressed. Give the dense model.")
        if plain is not None and name not in plain:
            raise _unknown(model, name)
        if not name.startswith(prefix):
            kind = HEAD
        else:
            kind = _kind(layer, module.removeprefix(prefix), kept, name)
            if module == words:
                kind = "matrix"
            if kind == "":
                raise _unknown(model, name)
        if kind == "matrix":
            matrices.append(Matrix(module, p.shape[0], p.shape[1], module == words))
        else:
            whole[kind] = whole.get(kind, 0) + p.numel()
    return Inventory(tuple(matrices), whole)


def _kind(layer: nn.Module, module: str, whole: Mapping[str, str], name: str) -> str:
    """What a parameter of the encoder is; "" if it is unknown."""
    for path, kind in whole.items():
        if module == path or module.startswith(path + "."):
            return kind
    if isinstance(layer, nn.LayerNorm):
        return "LayerNorm"
    if isinstance(layer, nn.Linear):
        return "biases" if name.endswith(".bias") else "matrix"
    return ""


def _plain_names(model: PreTrainedModel) -> set[str] | None:
    """Names of the parameters that transformers makes for the config; None for a meta model.

    Models on the meta device are made here to be counted.
    """
    if all(p.is_meta for p in model.parameters()):
        return None
    with torch.device("meta"):
        plain: nn.Module = type(model)(copy.deepcopy(model.config))
    return {name for name, _ in plain.named_parameters()}


def _unknown(model: nn.Module, name: str) -> LadaError:
    plain = f"plain {type(model).__name__}"
    return LadaError(f"model: parameter {name} is not one of a {plain}. Give a {plain}.")


def replace_(
    model: nn.Module,
    ranks: Mapping[str, int],
    factorizer: str = "svd",
    statistics: Statistics | None = None,
) -> None:
    """Replace each named layer by its factorized form, in place.

    Args:
        ranks: name of a Linear or Embedding -> rank.
        factorizer: of `lada.ops.factorizers.FACTORIZERS`.
        statistics: what the layers see, for factorizers that use it.

    Raises:
        LadaError: a named layer is neither.
    """
    for name, rank in ranks.items():
        layer = model.get_submodule(name)
        if not isinstance(layer, nn.Embedding | nn.Linear):
            raise LadaError(f"model: {name} is a {type(layer).__name__}, not Linear or Embedding")
        seen = NOTHING if statistics is None else statistics.of(name, layer.weight.device)
        weights = FACTORIZERS[factorizer](seen)
        new: Compressed
        if isinstance(layer, nn.Embedding):
            new = FactorizedEmbedding.from_embedding(layer, rank, weights)
        else:
            new = FactorizedLinear.from_linear(layer, rank, weights)
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
