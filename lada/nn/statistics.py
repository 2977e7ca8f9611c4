"""Statistics of what the layers of a model see: `gather`; and their file."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from lada.errors import LadaError
from lada.nn.capture import forward
from lada.nn.row_gradients import RowGradients
from lada.nn.surgery import inventory
from lada.ops.budget import Matrix
from lada.ops.statistics import Seen, Statistics


class _Gatherer:
    """Hooks on the layers of a model, and the sums that they make."""

    def __init__(self, model: PreTrainedModel):
        self.mask = torch.ones(0)
        self.second: dict[str, Tensor] = {}
        self.rows: dict[str, int] = {}
        self.source: dict[str, str] = {}
        self.counts: dict[str, Tensor] = {}
        self._last: tuple[str, Tensor] | None = None
        self._tokens = {matrix.name for matrix in inventory(model).matrices}
        self._handles = [
            model.get_submodule(matrix.name).register_forward_pre_hook(self._hook(matrix))
            for matrix in inventory(model, pooler=True).matrices
        ]

    def begin(self, mask: Tensor) -> None:
        """Take the attention mask (batch, length) of the batch that comes."""
        self.mask, self._last = mask.bool(), None

    def end(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()

    def _hook(self, matrix: Matrix) -> Any:
        if matrix.embedding:
            return self._looked_up(matrix.name, matrix.rows)
        if matrix.name not in self._tokens:
            return self._pooled(matrix.name)
        return self._multiplied(matrix.name)

    def _looked_up(self, name: str, rows: int) -> Any:
        def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            found = torch.bincount(args[0][self.mask], minlength=rows)
            self.counts[name] = found if name not in self.counts else self.counts[name] + found

        return hook

    def _multiplied(self, name: str) -> Any:
        def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            x = args[0]
            if x.shape[:-1] != self.mask.shape:
                return  # not of tokens: DeBERTa's distances
            if self._last is not None and self._last[1] is x:
                self.source[name] = self._last[0]  # query, key and value have one input
                return
            self._last = (name, x)
            self._add(name, x[self.mask])

        return hook

    def _pooled(self, name: str) -> Any:
        def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._add(name, args[0])  # (batch, n): of the first token alone

        return hook

    def _add(self, name: str, inputs: Tensor) -> None:
        """Add inputs (count, n) of a layer to its sum."""
        self.source[name] = name
        real = inputs.detach().float()
        found = real.T @ real
        self.second[name] = found if name not in self.second else self.second[name].add_(found)
        self.rows[name] = self.rows.get(name, 0) + len(real)


def gather(
    model: PreTrainedModel,
    batches: Iterable[Mapping[str, Tensor]],
    loss: Callable[[Any, dict[str, Tensor]], Tensor] | None = None,
) -> Statistics:
    """What the matrices of a model see of these batches, without padding; it is not changed.

    Computed in the model's own precision, without dropout. Layers that have the same input, as
    query, key and value, share a tensor. Where a layer is applied several times, all of its inputs
    count. A pooler sees the first token of each example. Rows have gradients if there is a loss.

    Args:
        model: dense; see `lada.nn.surgery.inventory`.
        batches: ``input_ids`` and ``attention_mask``, (batch, length) int64; ``token_type_ids`` of
            the same shape, or none; what the loss needs.
        loss: the sum of the losses of a batch's examples, a scalar, of the model's output and the
            batch; None: no gradients.

    Raises:
        LadaError: the model cannot be compressed, or the loss has no gradient.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> model = BertForSequenceClassification(BertConfig(
        ...     vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        ...     intermediate_size=16, max_position_embeddings=32))
        >>> ids = torch.tensor([[2, 7, 7]])
        >>> batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        >>> found = gather(model, [batch])
        >>> found.tokens, found.of("bert.embeddings.word_embeddings").counts[7].item()
        (3, 2)
        >>> tuple(found.of("bert.encoder.layer.0.intermediate.dense").second.shape)
        (8, 8)
    """
    training, gatherer, examples, tokens = model.training, _Gatherer(model), 0, 0
    rows = None if loss is None else RowGradients(model)
    model.eval()
    try:
        for batch in batches:
            here = {name: tensor.to(model.device) for name, tensor in batch.items()}
            here.setdefault("token_type_ids", torch.zeros_like(here["input_ids"]))
            gatherer.begin(here["attention_mask"])
            if loss is None or rows is None:
                with torch.no_grad():
                    forward(model, here, output=lambda out, batch: batch["attention_mask"])
            else:
                rows.begin(here["attention_mask"])
                rows.add(forward(model, here, output=loss).logits)
            examples += len(here["input_ids"])
            tokens += int(gatherer.mask.sum())
    finally:
        gatherer.end()
        if rows is not None:
            rows.end()
        model.train(training)
    second = {name: total / gatherer.rows[name] for name, total in gatherer.second.items()}
    layers = {name: Seen(second=second[source]) for name, source in gatherer.source.items()}
    layers |= {name: Seen(counts=counts) for name, counts in gatherer.counts.items()}
    if rows is not None:
        if tokens and not any(bool(found.any()) for found in rows.rows.values()):
            raise LadaError(
                "method.factorizer: the labels' loss has no gradient on these examples. Give "
                "examples with labels, or method.factorizer=whitened."
            )
        layers = {
            name: replace(seen, gradients=rows.rows[name] / examples)
            for name, seen in layers.items()
        }
    return Statistics(layers, examples, tokens)


def write_statistics(statistics: Statistics, file: Path) -> None:
    """Write statistics to a safetensors file; tensors that layers share are written once."""
    tensors: dict[str, Tensor] = {}
    names: dict[int, str] = {}
    source: dict[str, str] = {}
    for layer, seen in statistics.layers.items():
        for kind in ("second", "counts", "gradients"):
            if (tensor := getattr(seen, kind)) is not None:
                name = names.setdefault(id(tensor), f"{layer}.{kind}")
                tensors[name] = tensor.cpu().contiguous()
                source[f"{layer}.{kind}"] = name
    about = {
        "examples": statistics.examples,
        "tokens": statistics.tokens,
        "tensors": source,
    }
    save_file(tensors, file, {"lada": json.dumps(about)})


def read_statistics(file: Path) -> Statistics:
    """Read what `write_statistics` wrote.

    Raises:
        OSError, ValueError, KeyError, SafetensorError: the file is missing, or not such a file.
    """
    with safe_open(file, framework="pt") as opened:
        about = json.loads(opened.metadata()["lada"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    found: dict[str, dict[str, Tensor]] = {}
    for name, source in about["tensors"].items():
        layer, _, kind = name.rpartition(".")
        found.setdefault(layer, {})[kind] = tensors[source]
    layers = {layer: Seen(**parts) for layer, parts in found.items()}
    return Statistics(layers, about["examples"], about["tokens"])
