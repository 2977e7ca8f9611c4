"""What stays whole in the paper, made smaller: position embeddings, and the pooler.

No example looks up the position embeddings beyond its length. The pooler is a matrix as those of
the encoder are.
"""

from dataclasses import replace

import torch
from torch import nn
from transformers import PreTrainedModel

from lada.nn.families import POSITIONS, encoder_prefix, family_of
from lada.nn.surgery import inventory
from lada.ops.budget import Inventory


def position_embeddings(model: PreTrainedModel) -> str | None:
    """The name of the position embeddings in a model; None where positions are no table."""
    row, prefix = family_of(model.config), encoder_prefix(model)
    names = {prefix + path for path, kind in row.whole.items() if kind == POSITIONS}
    return next((name for name, _ in model.named_modules() if name in names), None)


def trimmed_inventory(model: PreTrainedModel, length: int) -> Inventory:
    """Count a model whose student has positions for ``length`` tokens, and a compressed pooler.

    Raises:
        LadaError: see `lada.nn.surgery.inventory`.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> model = BertForSequenceClassification(BertConfig(
        ...     vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        ...     intermediate_size=16, max_position_embeddings=32))
        >>> counted = trimmed_inventory(model, 20)
        >>> counted.whole["position embeddings"], counted.removed, counted.matrices[-1].name
        (160, 96, 'bert.pooler.dense')
        >>> counted.total == sum(p.numel() for p in model.parameters())
        True
    """
    counted, name = inventory(model, pooler=True), position_embeddings(model)
    if name is None:
        return counted
    rows, width = _table(model, name).weight.shape
    removed = max(0, rows - _rows(model, length)) * width
    whole = {**counted.whole, POSITIONS: counted.whole[POSITIONS] - removed}
    return replace(counted, whole=whole, removed=removed)


@torch.no_grad()
def cut_positions_(model: PreTrainedModel, length: int) -> None:
    """Remove the position embeddings beyond ``length`` tokens, in place, and from the config.

    Outputs for examples of at most ``length`` tokens stay the same. A table that is as short
    already, and positions that are no table, are left as they are.
    """
    name, rows = position_embeddings(model), _rows(model, length)
    if name is None:
        return
    table = _table(model, name)
    before = len(table.weight)
    if before <= rows:
        return
    table.weight = nn.Parameter(table.weight[:rows].clone(), table.weight.requires_grad)
    table.num_embeddings = rows
    owner = model.get_submodule(name.rpartition(".")[0])
    for key, buffer in list(owner.named_buffers(recurse=False)):
        if buffer.shape == (1, before):  # the numbers of the positions; types where none are given
            setattr(owner, key, buffer[:, :rows].clone())
    if getattr(model.config, "max_relative_positions", before) < 1:
        model.config.max_relative_positions = before  # DeBERTa's would be the positions' number
    model.config.max_position_embeddings = rows


def _table(model: PreTrainedModel, name: str) -> nn.Embedding:
    found = model.get_submodule(name)
    assert isinstance(found, nn.Embedding)
    return found


def _rows(model: PreTrainedModel, length: int) -> int:
    """Rows of a table for so many tokens."""
    return length + family_of(model.config).offset
