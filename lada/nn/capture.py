"""Attention scores and hidden states from an encoder of transformers, without patching it.

transformers' default attention returns no maps, and its eager one returns probabilities after
dropout. This module registers attention functions that return the scores BEFORE the softmax (and
before masking) instead, the probabilities before dropout, or the products of the values. Where
attention is within a window, as in some layers of ModernBERT, what is outside of it is among the
scores and the products.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

from lada.nn.dropout import dropout as quick_dropout
from lada.nn.families import family_of

SCORES = "lada_scores"
PROBABILITIES = "lada_probabilities"
VALUES = "lada_values"
FAST = "sdpa"

IMPLEMENTATIONS = {"scores": SCORES, "probabilities": PROBABILITIES, "values": VALUES}
"""The attention implementation that returns each kind of maps."""


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """(batch, heads, length, width) x 3 -> output (batch, length, heads, width), scores,
    probabilities.
    """
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    masked = scores if attention_mask is None else scores + attention_mask
    probs = nn.functional.softmax(masked, dim=-1)
    dropped = quick_dropout(probs, dropout, module.training)
    return torch.matmul(dropped, value).transpose(1, 2).contiguous(), scores, probs


def _scores_forward(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float, dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    output, scores, _probs = _attention(module, query, key, value, attention_mask, scaling, dropout)
    return output, scores


def _probabilities_forward(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float, dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    output, _scores, probs = _attention(module, query, key, value, attention_mask, scaling, dropout)
    return output, probs


def _values_forward(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float, dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    output, *_rest = _attention(module, query, key, value, attention_mask, scaling, dropout)
    return output, torch.matmul(value, value.transpose(2, 3)) * value.shape[-1] ** -0.5


for _name, _function in (
    (SCORES, _scores_forward),
    (PROBABILITIES, _probabilities_forward),
    (VALUES, _values_forward),
):
    AttentionInterface.register(_name, _function)
    AttentionMaskInterface.register(_name, eager_mask)


@dataclass(frozen=True)
class Outputs:
    """The outputs of a forward pass for a distillation loss.

    Attributes:
        logits: (batch, classes), or what else is learned (`lada.heads.base.Head.output`).
        hidden: embedding output, then the output of each layer, (batch, length, width) each;
            empty if not asked for. The embedding output is what the first layer gets; ALBERT has
            an output per application of its layer; ModernBERT's last one is after its final norm.
        attentions: one map per layer, (batch, heads, length, length); of values that of the last
            layer alone; empty if not asked for.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...]
    attentions: tuple[Tensor, ...]


def set_attention(model: PreTrainedModel, maps: str | None) -> None:
    """Choose what attention returns: a key of `IMPLEMENTATIONS`, or None for no maps (fastest).

    Raises:
        ValueError: ``maps`` is something else, or the model's family does not give maps.
    """
    if maps is not None and maps not in IMPLEMENTATIONS:
        raise ValueError(f"attention maps {maps!r} are not {', '.join(IMPLEMENTATIONS)} or None")
    if family_of(model.config).maps:
        model.set_attn_implementation(FAST if maps is None else IMPLEMENTATIONS[maps])
    elif maps is not None:  # its attention is not chosen by a name
        raise ValueError(f"a {model.config.model_type} does not give attention maps")


def _config_of(model: nn.Module) -> Any:
    """The config of a model, or of the one that a wrapper such as DDP has."""
    return (model if hasattr(model, "config") else model.get_submodule("module")).config


def takes_types(model: nn.Module) -> bool:
    """Whether a model, or the one that a wrapper such as DDP has, tells token types apart."""
    config = _config_of(model)
    return family_of(config).types and getattr(config, "type_vocab_size", 0) > 1


def forward(
    model: PreTrainedModel,
    batch: dict[str, Tensor],
    *,
    hidden: bool = False,
    attentions: bool = False,
    output: Callable[[Any, dict[str, Tensor]], Tensor] | None = None,
) -> Outputs:
    """Run ``batch`` (input_ids, attention_mask, token_type_ids: (batch, length) int64).

    Token types are given to models that tell some apart.

    Args:
        output: what is learned, of the model's output and the batch; None: its logits.
    """
    types = {"token_type_ids": batch["token_type_ids"]} if takes_types(model) else {}
    out = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        **types,
        output_hidden_states=hidden,
        output_attentions=attentions,
    )
    maps = tuple(out.attentions) if attentions else ()
    if _config_of(model)._attn_implementation == VALUES:
        maps = maps[-1:]
    return Outputs(
        out.logits if output is None else output(out, batch),
        tuple(out.hidden_states) if hidden else (),
        maps,
    )
