"""MiniALBERT: one BERT layer applied several times, with adapters, arXiv 2210.06425.

All applications share the layer; they differ by a pair of bottleneck adapters each. Choices where
the paper is open, and deviations from it:

- There is an adapter after the attention and one after the feed-forward block. In the authors' code
  each is before its block: the same chain, with one more at its start and one less at its end.
- ``adapter_size`` is a setting; in the authors' code it is a sixteenth of the width.
- An adapter ends in its own LayerNorm over the sum, as in the authors' code. Its weight starts at
  the scale of the states, not at 1 (`Adapter.match_scale_`).
- The shared layer starts as the teacher's first. A mean of the layers would be meaningless: their
  heads and inner units are in different orders.
- Embeddings, pooler, classifier and width are the teacher's. The authors' code uses the embeddings
  of a smaller BERT with a projection, has no pooler, and first learns from unlabelled text.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.bert.modeling_bert import BertLayer


class Adapter(nn.Module):
    """``LayerNorm(x + up(GELU(down(x))))``, with a narrow ``down``."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.down = nn.Linear(config.hidden_size, config.adapter_size)
        self.up = nn.Linear(config.adapter_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """X (..., width) -> the same shape."""
        normed: Tensor = self.LayerNorm(x + self.up(F.gelu(self.down(x))))
        return normed

    @torch.no_grad()
    def match_scale_(self, norm: nn.LayerNorm) -> None:
        """Start at the scale of the incoming states, the outputs of ``norm``.

        A LayerNorm that starts with weight 1 would scale states of root mean square 0.6, as in a
        trained BERT, to 1, and so undo the initialization from the teacher. An output of ``norm``
        is ``gamma z + beta`` with z of unit variance, so its root mean square is
        ``sqrt(mean(gamma^2 + beta^2))``.
        """
        scale = (norm.weight.square() + norm.bias.square()).mean().sqrt()
        self.LayerNorm.weight.fill_(float(scale))


class SharedLayer(BertLayer):
    """A BERT layer with two adapters for each of its applications.

    transformers' own hooks collect its output and its attention map at every application.
    """

    def __init__(self, config: BertConfig):
        super().__init__(config)
        applications = range(config.num_hidden_layers)
        self.attention_adapters = nn.ModuleList(Adapter(config) for _ in applications)
        self.output_adapters = nn.ModuleList(Adapter(config) for _ in applications)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        *_: Any,
        application: int = 0,
        **__: Any,
    ) -> Tensor:
        """States (batch, length, width) -> the same shape, by the application's number (from 0).

        The other arguments of a `BertLayer` are for decoders.
        """
        attended, _ = self.attention(hidden_states, attention_mask)
        attended = self.attention_adapters[application](attended)
        out: Tensor = self.output_adapters[application](self.feed_forward_chunk(attended))
        return out


class RecursiveEncoder(nn.Module):
    """Replaces transformers' `BertEncoder`; ``layer`` has the single shared layer."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.layer = nn.ModuleList([SharedLayer(config)])
        self.applications = config.num_hidden_layers

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """States (batch, length, width) -> ``last_hidden_state`` of the same shape.

        The other arguments that `BertModel` passes to its encoder are for decoders.
        """
        for application in range(self.applications):
            hidden_states = self.layer[0](hidden_states, attention_mask, application=application)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


class MiniAlbert(BertForSequenceClassification):
    """A BERT classifier with a `RecursiveEncoder`.

    Args:
        config: BERT's, where ``num_hidden_layers`` is the number of applications, and in addition
            ``adapter_size``, the inner width of the adapters.
    """

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert.set_submodule("encoder", RecursiveEncoder(config))
        self.post_init()  # initializes the new modules

    @classmethod
    def from_teacher(
        cls, teacher: BertForSequenceClassification, applications: int, adapter_size: int
    ) -> "MiniAlbert":
        """A student with copies of the teacher's embeddings, first layer, pooler and classifier.

        Its adapters are random, by torch's generator, and keep the scale of the states
        (`Adapter.match_scale_`). The teacher is not changed.
        """
        student = cls(minialbert_config(teacher.config, applications, adapter_size))
        for name in (
            "bert.embeddings",
            "bert.encoder.layer.0.attention",
            "bert.encoder.layer.0.intermediate",
            "bert.encoder.layer.0.output",
            "bert.pooler",
            "classifier",
        ):
            theirs = teacher.get_submodule(name).state_dict()
            student.get_submodule(name).load_state_dict(theirs)
        shared = student.bert.encoder.layer[0]
        assert isinstance(shared, SharedLayer)
        for adapters, block in (
            (shared.attention_adapters, shared.attention.output),
            (shared.output_adapters, shared.output),
        ):
            for adapter in adapters:
                assert isinstance(adapter, Adapter)
                adapter.match_scale_(block.LayerNorm)
        return student

    def train_adapters_only_(self) -> None:
        """Freeze all but the adapters and the classifier, in place: the paper's adapter tuning."""
        self.requires_grad_(False)
        self.classifier.requires_grad_(True)
        for module in self.modules():
            if isinstance(module, Adapter):
                module.requires_grad_(True)


def minialbert_config(teacher: BertConfig, applications: int, adapter_size: int) -> BertConfig:
    """The config of a `MiniAlbert` from a teacher of this config."""
    config = copy.deepcopy(teacher)
    config.num_hidden_layers = applications
    config.adapter_size = adapter_size
    return config
