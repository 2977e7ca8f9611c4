"""Attention scores and hidden states from an encoder of transformers, without patching it.

transformers' default attention returns no maps, and its eager one returns probabilities after
dropout. This module registers attention functions that return the scores BEFORE the softmax (and
before masking) instead, or the probabilities before dropout. Where attention is within a window,
as in some layers of ModernBERT, the scores outside of it are among them.
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
            empty if not asked for. The embedding output is what the first layer gets; ALBERT has
            an output per application of its layer; ModernBERT's last one is after its final norm.
        attentions: one map per layer, (batch, heads, length, length); empty if not asked for.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...]
    attentions: tuple[Tensor, ...]


def set_attention(model: PreTrainedModel, maps: str | None) -> None:
    """Choose what attention returns: "scores", "probabilities", or None for no maps (fastest).

    Raises:
        ValueError: ``maps`` is something else, or the model's family does not give maps.
    """
    names = {"scores": SCORES, "probabilities": PROBABILITIES, None: FAST}
    if maps not in names:
        raise ValueError(f"attention maps {maps!r} are not scores, probabilities or None")
    if family_of(model.config).maps:
        model.set_attn_implementation(names[maps])
    elif maps is not None:  # its attention is not chosen by a name
        raise ValueError(f"a {model.config.model_type} does not give attention maps")


def takes_types(model: nn.Module) -> bool:
    """Whether a model, or the one that a wrapper such as DDP has, tells token types apart."""
    config: Any = (model if hasattr(model, "config") else model.get_submodule("module")).config
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
    return Outputs(
        out.logits if output is None else output(out, batch),
        tuple(out.hidden_states) if hidden else (),
        tuple(out.attentions) if attentions else (),
    )
