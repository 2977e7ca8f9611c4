"""The student of Tang et al. 2019: one bidirectional LSTM layer, arXiv 1903.12136, section 3.

What the paper leaves open or has otherwise, and what is chosen here:

- The paper feeds whole words with word2vec vectors; here it is the teacher's tokens, and the word
  table starts as the teacher's, so that both read the same batch.
- [CLS] is left out: it says nothing to an LSTM, and would stand in the first sentence of a pair
  only. [SEP] stays as the end of a sentence; so equal sentences have equal states.
- Dropout after the fully connected layer's ReLU, 0.1, as in the authors' code for one sentence.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from lada.nn.classes import class_count
from lada.ops.budget import Inventory, Matrix

HIDDEN = 300
INNER = 400
"""The paper's largest sizes: states of a direction, and the fully connected layer."""


class BiLstm(PreTrainedModel):
    """A classifier of one sentence, or of a pair of sentences read by the same LSTM.

    Args:
        config: BERT's, for vocabulary, width of the word vectors and labels; and what BERT has
            not: ``pairs``, whether rows are pairs, whose states u and v become
            [u; v; u * v; |u - v|]; ``lstm_size``, width of the states of one direction;
            ``dense_size``, width of the fully connected layer.
    """

    config_class = BertConfig
    _supports_sdpa = True  # has no attention, and so no objection to any

    def __init__(self, config: BertConfig):
        super().__init__(config)
        width, hidden, inner = config.hidden_size, config.lstm_size, config.dense_size
        self.embedding = nn.Embedding(config.vocab_size, width, config.pad_token_id)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.dense = nn.Linear((8 if config.pairs else 2) * hidden, inner)
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(inner, class_count(config))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """None but torch's own."""

    def set_attn_implementation(
        self, attn_implementation: str | dict[Any, Any], allow_all_kernels: bool = False
    ) -> None:
        """It has no attention."""

    @classmethod
    def from_teacher(
        cls,
        teacher: BertForSequenceClassification,
        *,
        pairs: bool,
        hidden: int = HIDDEN,
        inner: int = INNER,
    ) -> "BiLstm":
        """A student with the teacher's classes and a copy of its word table.

        The rest is random, by torch's generator.
        """
        student = cls(bilstm_config(teacher.config, pairs=pairs, hidden=hidden, inner=inner))
        student.embedding.load_state_dict(teacher.bert.embeddings.word_embeddings.state_dict())
        return student

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> SequenceClassifierOutput:
        """Classify BERT's batch: rows of [CLS] a [SEP], or [CLS] a [SEP] b [SEP] for pairs.

        Args:
            input_ids, attention_mask, token_type_ids: (batch, length) int64. Where the mask is 0
                nothing is read. In a pair, b is where the type is 1.
            output_hidden_states, output_attentions: False; it has none that are like a teacher's.

        Returns:
            ``logits`` (batch, classes), and nothing else.

        Raises:
            ValueError: hidden states or attention maps were asked for.
        """
        if output_hidden_states or output_attentions:
            raise ValueError("a BiLSTM has no hidden states or attention maps of BERT's layers")
        real = attention_mask.bool()
        real = real & (real.cumsum(1) > 1)  # without [CLS]
        vectors = self.embedding(input_ids)
        if self.config.pairs:
            second = token_type_ids.bool()
            both = torch.cat([real & ~second, real & second])
            u, v = self._states(torch.cat([vectors, vectors]), both).chunk(2)
            states = torch.cat([u, v, u * v, (u - v).abs()], dim=1)
        else:
            states = self._states(vectors, real)
        inner = self.dropout(torch.relu(self.dense(states)))
        return SequenceClassifierOutput(logits=self.classifier(inner))

    def _states(self, vectors: Tensor, chosen: Tensor) -> Tensor:
        """Last states of both directions over the chosen tokens; zeros where there are none.

        (rows, length, width), bool (rows, length) -> (rows, 2 hidden). The chosen tokens of a row
        stand together.
        """
        length = chosen.shape[1]
        first = chosen.int().argmax(1, keepdim=True)
        front = (first + torch.arange(length, device=first.device)).clamp(max=length - 1)
        vectors = torch.take_along_dim(vectors, front.unsqueeze(-1), 1)
        count = chosen.sum(1)
        # A packed row ends where its tokens do, so the way back does not begin in the padding.
        packed = pack_padded_sequence(
            vectors, count.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)  # (2, rows, hidden)
        return torch.cat([*last], dim=1) * (count > 0).unsqueeze(1)


def bilstm_config(
    teacher: BertConfig, *, pairs: bool, hidden: int = HIDDEN, inner: int = INNER
) -> BertConfig:
    """The config of a `BiLstm` that reads the teacher's tokens."""
    config = copy.deepcopy(teacher)
    config._attn_implementation = "eager"  # the teacher's may be one that returns maps
    config.pairs, config.lstm_size, config.dense_size = pairs, hidden, inner
    return config


def bilstm_inventory(model: BiLstm) -> Inventory:
    """Count a student: its word table, and what stays whole."""
    rows, width = model.embedding.weight.shape
    parts = {"LSTM": model.lstm, "dense": model.dense, "classifier": model.classifier}
    whole = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    return Inventory((Matrix("embedding", rows, width, True),), whole)
