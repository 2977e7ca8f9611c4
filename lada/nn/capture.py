"""Attention scores and hidden states from a transformers BERT, without patching it.

transformers' default attention returns no maps, and its eager one returns probabilities after
dropout. This module registers attention functions that return the scores BEFORE the softmax (and
before masking) instead, or the probabilities before dropout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

from lada.nn.dropout import dropout as quick_dropout

SCORES = "lada_scores"
PROBABILITIES = "lada_probabilities"
FAST = "sdpa"


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float,
    probabilities: bool,
) -> tuple[Tensor, Tensor]:
    """(batch, heads, length, width) x 3 -> output (batch, length, heads, width), maps."""
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    masked = scores if attention_mask is None else scores + attention_mask
    probs = nn.functional.softmax(masked, dim=-1)
    dropped = quick_dropout(probs, dropout, module.training)
    output = torch.matmul(dropped, value).transpose(1, 2).contiguous()
    return output, probs if probabilities else scores


def _scores_forward(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float, dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return _attention(module, query, key, value, attention_mask, scaling, dropout, False)


def _probabilities_forward(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float, dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return _attention(module, query, key, value, attention_mask, scaling, dropout, True)


AttentionInterface.register(SCORES, _scores_forward)
AttentionInterface.register(PROBABILITIES, _probabilities_forward)
AttentionMaskInterface.register(SCORES, eager_mask)
AttentionMaskInterface.register(PROBABILITIES, eager_mask)


@dataclass(frozen=True)
class Outputs:
    """The outputs of a forward pass for a distillation loss.

    Attributes:
        logits: (batch, classes), or what else is learned (`lada.heads.base.Head.output`).
        hidden: embedding output, then the output of each layer, (batch, length, width) each;
            empty if not asked for.
        attentions: one map per layer, (batch, heads, length, length); empty if not asked for.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...]
    attentions: tuple[Tensor, ...]


def set_attention(model: PreTrainedModel, maps: str | None) -> None:
    """Choose what attention returns: "scores", "probabilities", or None for no maps (fastest).

    Raises:
        ValueError: ``maps`` is something else.
    """
    names = {"scores": SCORES, "probabilities": PROBABILITIES, None: FAST}
    if maps not in names:
        raise ValueError(f"attention maps {maps!r} are not scores, probabilities or None")
    model.set_attn_implementation(names[maps])


def forward(
    model: PreTrainedModel,
    batch: dict[str, Tensor],
    *,
    hidden: bool = False,
    attentions: bool = False,
    output: Callable[[Any, dict[str, Tensor]], Tensor] | None = None,
) -> Outputs:
    """Run ``batch`` (input_ids, attention_mask, token_type_ids: (batch, length) int64).

    Args:
        output: what is learned, of the model's output and the batch; None: its logits.
    """
    out = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch["token_type_ids"],
        output_hidden_states=hidden,
        output_attentions=attentions,
    )
    return Outputs(
        out.logits if output is None else output(out, batch),
        tuple(out.hidden_states) if hidden else (),
        tuple(out.attentions) if attentions else (),
    )
