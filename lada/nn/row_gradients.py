"""The squared gradients of the rows of a model's matrices: `RowGradients`."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lada.nn.surgery import inventory


class RowGradients:
    """Hooks on the layers of a model, and the sums that they make.

    A row's sum is over examples: of the squared norm of the gradient of this row by the loss of one
    example. The gradient G of a matrix by one example is a sum over its tokens of ``g x^T``, with
    inputs x and gradients g of the outputs, and ``|G_i|^2`` is the diagonal of ``g^T (x x^T) g``.
    So no gradient of a matrix is formed, and the sums do not depend on how examples are batched.
    The parameters get no gradients.

    Attributes:
        rows: (m,) of each matrix, by the name of its layer.
    """

    def __init__(self, model: PreTrainedModel):
        self.rows: dict[str, Tensor] = {}
        self._mask = torch.ones(0)
        self._words: tuple[Tensor, Tensor] | None = None
        # Calls of each layer in this batch; inputs and gradients that have arrived.
        self._calls: dict[str, int] = {}
        self._arrived: dict[str, list[tuple[Tensor, Tensor]]] = {}
        counted = inventory(model, pooler=True)
        self._table = counted.word_embeddings
        self._handles = [
            model.get_submodule(matrix.name).register_forward_hook(
                self._looked_up if matrix.embedding else self._multiplied(matrix.name)
            )
            for matrix in counted.matrices
        ]

    def begin(self, mask: Tensor) -> None:
        """Take the attention mask (batch, length) of the batch that comes."""
        self._mask, self._words, self._calls, self._arrived = mask, None, {}, {}

    def add(self, loss: Tensor) -> None:
        """Add what the loss of the batch, a sum over its examples, gives."""
        assert self._words is not None
        ids, vectors = self._words
        (gradients,) = torch.autograd.grad(loss, vectors)
        self._add_words(ids, gradients)

    def end(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()

    def _looked_up(self, layer: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        if not out.requires_grad:
            out.requires_grad_()  # of a model whose parameters are frozen
        self._words = args[0], out

    def _multiplied(self, name: str) -> Any:
        def hook(layer: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            inputs = args[0].detach()
            tokens = inputs.shape[:-1] == self._mask.shape
            if not tokens and inputs.dim() != 2:
                return  # not of tokens: DeBERTa's distances
            self._calls[name] = self._calls.get(name, 0) + 1

            def arrive(gradients: Tensor) -> None:
                if tokens:
                    gradients = gradients * self._mask[..., None]
                self._arrive(name, inputs, gradients)

            out.register_hook(arrive)

        return hook

    def _arrive(self, name: str, inputs: Tensor, gradients: Tensor) -> None:
        if inputs.dim() == 2:  # a pooler's, of the first token
            inputs, gradients = inputs[:, None], gradients[:, None]
        found = self._arrived.setdefault(name, [])
        found.append((inputs, gradients))
        if len(found) < self._calls[name]:
            return  # a layer that is applied again has one gradient of all
        x, g = (torch.cat(parts, 1).float() for parts in zip(*found, strict=True))
        self._arrived[name] = []
        squares = ((x @ x.mT @ g) * g).sum((0, 1)).clamp_min(0.0)
        self.rows[name] = self.rows.get(name, 0.0) + squares

    def _add_words(self, ids: Tensor, gradients: Tensor) -> None:
        """Of word embeddings: an example's tokens of one id share a row."""
        real, name, number = self._mask.bool(), self._table.name, self._table.rows
        owners = torch.arange(len(ids), device=ids.device)[:, None] * number + ids
        which, place = owners[real].unique(return_inverse=True)
        sums = gradients.new_zeros(len(which), gradients.shape[-1], dtype=torch.float32)
        sums.index_add_(0, place, gradients[real].float())
        squares = torch.zeros(number, device=ids.device)
        squares.index_add_(0, which % number, sums.square().sum(1))
        self.rows[name] = self.rows.get(name, 0.0) + squares
