"""A BERT that may answer after any of its layers: DeeBERT, Xin et al. 2020, arXiv 2004.12993.

Every layer but the last has an off-ramp: a pooler and a classifier, as after the last layer. An
example exits at the first whose answer is certain enough: the entropy of its probabilities,
relative to the largest possible one (ln of the number of classes), is below a threshold. The
paper's thresholds are in nats; relative ones mean the same for any number of classes.
"""

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import BertPooler

from lada.nn.classes import class_count
from lada.ops.budget import Inventory

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


class Ramp(nn.Module):
    """States of a layer (batch, length, width) -> logits (batch, classes)."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.pooler = BertPooler(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, class_count(config))

    def forward(self, states: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.pooler(states)))
        return logits


class EarlyExit(BertForSequenceClassification):
    """A BERT classifier with off-ramps.

    Args:
        config: BERT's, and in addition ``exit_threshold``, from 0 (always all layers) to 1 (always
            the first).
    """

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.ramps = nn.ModuleList(Ramp(config) for _ in range(config.num_hidden_layers - 1))
        self.post_init()

    @classmethod
    def from_teacher(cls, teacher: BertForSequenceClassification, threshold: float) -> "EarlyExit":
        """A copy of the teacher, frozen, with ramps.

        Their poolers are copies of the teacher's; their classifiers are random, by torch's
        generator.
        """
        config = copy.deepcopy(teacher.config)
        config.exit_threshold = threshold
        student = cls(config)
        student.load_state_dict({**student.state_dict(), **teacher.state_dict()})
        for ramp in student.ramps:
            assert isinstance(ramp, Ramp)
            ramp.pooler.load_state_dict(teacher.get_submodule("bert.pooler").state_dict())
        student.requires_grad_(False)
        student.ramps.requires_grad_(True)
        return student

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> SequenceClassifierOutput:
        """Classify a batch, (batch, length) int64 each.

        Returns:
            ``logits``: in training those of all exits, (layers, batch, classes), the last layer's
            last; else (batch, classes), for each example those of its exit.

        Raises:
            ValueError: hidden states or attention maps were asked for.
        """
        if output_hidden_states or output_attentions:
            raise ValueError("early exits have no hidden states and no attention maps")
        if self.training:
            every = self.exits(input_ids, attention_mask, token_type_ids)
            return SequenceClassifierOutput(logits=every)
        states, mask = self._start(input_ids, attention_mask, token_type_ids)
        out: Tensor | None = None
        left = torch.arange(len(states), device=states.device)
        last = self.config.num_hidden_layers - 1
        for number, layer in enumerate(self.bert.encoder.layer):
            states = layer(states, mask)
            logits = self._answer(number, states)
            if out is None:
                out = torch.empty_like(logits)
            sure = uncertainty(logits) < self.config.exit_threshold
            if number == last:
                sure = torch.ones_like(sure)
            out[left[sure]] = logits[sure]
            left, states = left[~sure], states[~sure]
            mask = None if mask is None else mask[~sure]
            if not len(left):
                break
        return SequenceClassifierOutput(logits=out)

    def exits(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Logits of all exits for a batch, (layers, batch, classes), the last layer's last."""
        states, mask = self._start(input_ids, attention_mask, token_type_ids)
        every = []
        for number, layer in enumerate(self.bert.encoder.layer):
            states = layer(states, mask)
            every.append(self._answer(number, states))
        return torch.stack(every)

    def _start(
        self, ids: Tensor, attention_mask: Tensor | None, types: Tensor | None
    ) -> tuple[Tensor, "Tensor | BlockMask | None"]:
        """Embeddings, and the mask in the form that layers need."""
        states = self.bert.embeddings(input_ids=ids, token_type_ids=types)
        mask = create_bidirectional_mask(
            config=self.config, inputs_embeds=states, attention_mask=attention_mask
        )
        return states, mask

    def _answer(self, number: int, states: Tensor) -> Tensor:
        """Logits (batch, classes) after a layer, by its number from 0."""
        if number < len(self.ramps):
            logits: Tensor = self.ramps[number](states)
        else:
            assert self.bert.pooler is not None
            logits = self.classifier(self.dropout(self.bert.pooler(states)))
        return logits


def uncertainty(logits: Tensor) -> Tensor:
    """Entropy of the probabilities over ln(classes): (..., classes) -> (...), from 0 to 1."""
    logs = F.log_softmax(logits.float(), dim=-1)
    return -(logs.exp() * logs).sum(-1) / math.log(logits.shape[-1])


def leave_at(logits: Tensor, threshold: float) -> Tensor:
    """The number of layers that each example runs: (layers, batch, classes) -> (batch,) int64."""
    sure = uncertainty(logits) < threshold
    sure[-1] = True
    return sure.int().argmax(0) + 1


def early_exit_inventory(teacher: Inventory, config: BertConfig) -> Inventory:
    """The parameters of a student: its teacher's, and those of the ramps."""
    width: int = config.hidden_size
    ramp = width * width + width + (width + 1) * class_count(config)
    return replace(teacher, whole={**teacher.whole, "ramps": (config.num_hidden_layers - 1) * ramp})
