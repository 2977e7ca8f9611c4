"""A classifier that may answer after any of its layers: DeeBERT, Xin et al. 2020, arXiv 2004.12993.

Every layer but the last has an off-ramp: a pooler and a classifier, as after BERT's last layer. An
example exits at the first whose answer is certain enough: the entropy of its probabilities,
relative to the largest possible one (ln of the number of classes), is below a threshold. The
paper's thresholds are in nats; relative ones mean the same for any number of classes.

The forward pass is that of transformers' own class, for every family: hooks on its layers take the
examples that exit out of the batch (`lada.nn.leaving`).
"""

import copy
import math
from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import BertPooler

from lada.nn.autos import CLASSIFIER, plain_class
from lada.nn.classes import class_count
from lada.nn.families import encoder_of, encoder_prefix, family_of, layers_of
from lada.nn.leaving import Pass, hook_
from lada.ops.budget import Inventory

DROPOUTS = ("hidden_dropout_prob", "dropout", "classifier_dropout")
"""The names of the dropout of states in the configs of families, the first that a config has."""


class Ramp(nn.Module):
    """States of a layer (batch, length, width) -> logits (batch, classes).

    The pooler reads the first token, or the mean of all tokens where the config's
    ``classifier_pooling`` says so.
    """

    def __init__(self, config: PreTrainedConfig):
        super().__init__()
        known = vars(config)
        self.pooler = BertPooler(config)
        self.dropout = nn.Dropout(next((known[key] for key in DROPOUTS if key in known), 0.0))
        self.classifier = nn.Linear(config.hidden_size, class_count(config))
        self.means = _takes_means(config)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Logits of states (batch, length, width) and their attention mask (batch, length)."""
        if self.means:
            weights = torch.ones_like(states[..., :1]) if mask is None else mask.unsqueeze(-1)
            states = (states * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
        logits: Tensor = self.classifier(self.dropout(self.pooler(states)))
        return logits


class EarlyExit(PreTrainedModel):
    """A classifier with off-ramps: the base of the classes of `early_exit_class`.

    Args:
        config: the family's, and in addition ``exit_threshold``, from 0 (always all layers) to 1
            (always the first).
    """

    def __init__(self, config: PreTrainedConfig):
        super().__init__(config)
        self.ramps = nn.ModuleList(Ramp(config) for _ in range(config.num_hidden_layers - 1))
        self.post_init()
        hook_(self.get_submodule(layers_of(self)).children(), encoder_of(self))

    @staticmethod
    def from_teacher(teacher: PreTrainedModel, threshold: float) -> "EarlyExit":
        """A copy of the teacher, frozen, with ramps.

        Their poolers are copies of the teacher's, or of the dense layer of its head; their
        classifiers are random, by torch's generator.
        """
        config = copy.deepcopy(teacher.config)
        config.exit_threshold = threshold
        student = early_exit_class(family_of(config).model_type)(config)
        student.load_state_dict({**student.state_dict(), **teacher.state_dict()})
        dense = _dense(teacher)
        for ramp in student.ramps:
            if dense is not None:
                start = {"bias": torch.zeros(config.hidden_size), **dense.state_dict()}
                ramp.get_submodule("pooler.dense").load_state_dict(start)
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
        out: Tensor | None = None

        def leave(number: int, states: Tensor, left: Tensor) -> Tensor:
            nonlocal out
            logits = self._ramp(number, states, None if mask is None else mask[left])
            if out is None:
                out = logits.new_empty(len(input_ids), logits.shape[-1])
            sure: Tensor = uncertainty(logits) < self.config.exit_threshold
            out[left[sure]] = logits[sure]
            return ~sure

        mask, means = attention_mask, _takes_means(self.config)
        running = Pass(input_ids, leave, whole=means)
        last = running.run(lambda: self._all_layers(input_ids, mask, token_type_ids))
        if out is None:  # there is a single layer
            out = last
        elif last is not None:
            out[running.left] = last[running.left] if means else last
        return SequenceClassifierOutput(logits=out)

    def exits(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Logits of all exits for a batch, (layers, batch, classes), the last layer's last."""
        every: list[Tensor] = []

        def stay(number: int, states: Tensor, left: Tensor) -> None:
            every.append(self._ramp(number, states, attention_mask))

        running = Pass(input_ids, stay)
        last = running.run(lambda: self._all_layers(input_ids, attention_mask, token_type_ids))
        assert last is not None
        return torch.stack([*every, last])

    def _all_layers(self, ids: Tensor, mask: Tensor | None, types: Tensor | None) -> Tensor:
        """Logits (batch, classes) of the family's own forward pass."""
        given = {} if types is None else {"token_type_ids": types}
        logits: Tensor = (
            super().forward(input_ids=ids, attention_mask=mask, return_dict=True, **given).logits
        )
        return logits

    def _ramp(self, number: int, states: Tensor, mask: Tensor | None) -> Tensor:
        """Logits (batch, classes) after ``number`` layers."""
        norm = family_of(self.config).norm
        if norm:
            states = encoder_of(self).get_submodule(norm)(states)
        logits: Tensor = self.ramps[number - 1](states, mask)
        return logits


@cache
def early_exit_class(family: str) -> type[EarlyExit]:
    """The class of a family's classifiers with off-ramps."""
    plain = plain_class(family, CLASSIFIER)
    name = f"EarlyExit{plain.__name__}"
    return type(name, (EarlyExit, plain), {"__doc__": f"A `{plain.__name__}` with off-ramps."})


def _takes_means(config: PreTrainedConfig) -> bool:
    """Whether the head reads the mean of all tokens, as most ModernBERTs do; else the first."""
    return getattr(config, "classifier_pooling", "cls") == "mean"


def _dense(teacher: PreTrainedModel) -> nn.Linear | None:
    """The square layer that the teacher's classifier begins with: its pooler's, or its head's."""
    encoder, width = encoder_prefix(teacher), teacher.config.hidden_size
    for name, module in teacher.named_modules():
        inside = name.startswith(encoder) and not name.startswith(f"{encoder}pooler")
        if isinstance(module, nn.Linear) and not inside and module.weight.shape == (width, width):
            return module
    return None


def uncertainty(logits: Tensor) -> Tensor:
    """Entropy of the probabilities over ln(classes): (..., classes) -> (...), from 0 to 1."""
    logs = F.log_softmax(logits.float(), dim=-1)
    return -(logs.exp() * logs).sum(-1) / math.log(logits.shape[-1])


def leave_at(logits: Tensor, threshold: float) -> Tensor:
    """The number of layers that each example runs: (layers, batch, classes) -> (batch,) int64."""
    sure: Tensor = uncertainty(logits) < threshold
    sure[-1] = True
    return sure.int().argmax(0) + 1


def early_exit_inventory(teacher: Inventory, config: PreTrainedConfig) -> Inventory:
    """The parameters of a student: its teacher's, and those of the ramps."""
    width: int = config.hidden_size
    ramp = width * width + width + (width + 1) * class_count(config)
    return replace(teacher, whole={**teacher.whole, "ramps": (config.num_hidden_layers - 1) * ramp})
