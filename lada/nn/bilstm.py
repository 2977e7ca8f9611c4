"""The student of Tang et al. 2019: one bidirectional LSTM layer, arXiv 1903.12136, section 3.

Choices where the paper is open, and deviations from it:

- The paper reads whole words with word2vec vectors. Here the input is the teacher's tokens, and the
  word embeddings start as the teacher's, so that both read the same batch.
- [CLS] is not read: it has no meaning for an LSTM, and only the first sentence of a pair would have
  it. [SEP] stays as the end of a sentence, so equal sentences have equal states.
- Dropout of 0.1 after the fully connected layer's ReLU, as in the authors' code for one sentence.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import BertConfig, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from lada.nn.classes import class_count
from lada.nn.families import usable_positions, word_embeddings
from lada.ops.budget import Inventory, Matrix

HIDDEN = 300
INNER = 400
"""The paper's largest sizes: states of a direction, and the fully connected layer."""


class BiLstm(PreTrainedModel):
    """A classifier of one sentence, or of a pair of sentences read by the same LSTM.

    Args:
        config: BERT's, for vocabulary, width of the word vectors and labels; and in addition
            ``pairs``, whether examples are pairs, whose states u and v become
            [u; v; u * v; |u - v|]; ``lstm_size``, width of the states of one direction;
            ``dense_size``, width of the fully connected layer.
    """

    config_class = BertConfig
    _supports_sdpa = True  # it has no attention, so any implementation will do

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
        """Does nothing: torch's own initialization stays."""

    def set_attn_implementation(
        self, attn_implementation: str | dict[Any, Any], allow_all_kernels: bool = False
    ) -> None:
        """Does nothing: the model has no attention."""

    @classmethod
    def from_teacher(
        cls,
        teacher: PreTrainedModel,
        *,
        pairs: bool,
        hidden: int = HIDDEN,
        inner: int = INNER,
    ) -> "BiLstm":
        """A student with the teacher's classes and a copy of its word embeddings.

        The rest is random, by torch's generator.
        """
        student = cls(bilstm_config(teacher.config, pairs=pairs, hidden=hidden, inner=inner))
        words = teacher.get_submodule(word_embeddings(teacher))
        student.embedding.load_state_dict(words.state_dict())
        return student

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> SequenceClassifierOutput:
        """Classify a batch as for BERT: [CLS] a [SEP], or [CLS] a [SEP] b [SEP] for pairs.

        Args:
            input_ids, attention_mask, token_type_ids: (batch, length) int64. Tokens with mask 0 are
                not read. In a pair, b is where the type is 1; without pairs no types are needed.
            output_hidden_states, output_attentions: must be False.

        Returns:
            Only ``logits`` (batch, classes).

        Raises:
            ValueError: hidden states or attention maps were asked for.
        """
        if output_hidden_states or output_attentions:
            raise ValueError("a BiLSTM has no hidden states or attention maps of BERT's layers")
        real = attention_mask.bool()
        real = real & (real.cumsum(1) > 1)  # without [CLS]
        vectors = self.embedding(input_ids)
        if self.config.pairs:
            assert token_type_ids is not None
            second = token_type_ids.bool()
            both = torch.cat([real & ~second, real & second])
            u, v = self._states(torch.cat([vectors, vectors]), both).chunk(2)
            states = torch.cat([u, v, u * v, (u - v).abs()], dim=1)
        else:
            states = self._states(vectors, real)
        inner = self.dropout(torch.relu(self.dense(states)))
        return SequenceClassifierOutput(logits=self.classifier(inner))

    def _states(self, vectors: Tensor, chosen: Tensor) -> Tensor:
        """Last states of both directions over the chosen tokens; zeros if there are none.

        (batch, length, width), bool (batch, length) -> (batch, 2 hidden). The chosen tokens of an
        example are consecutive.
        """
        length = chosen.shape[1]
        first = chosen.int().argmax(1, keepdim=True)
        front = (first + torch.arange(length, device=first.device)).clamp(max=length - 1)
        vectors = torch.take_along_dim(vectors, front.unsqueeze(-1), 1)
        count = chosen.sum(1)
        # A packed sequence ends with its tokens, so the backward pass does not start in padding.
        packed = pack_padded_sequence(
            vectors, count.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)  # (2, batch, hidden)
        return torch.cat([*last], dim=1) * (count > 0).unsqueeze(1)


def bilstm_config(
    teacher: PreTrainedConfig, *, pairs: bool, hidden: int = HIDDEN, inner: int = INNER
) -> BertConfig:
    """The config of a `BiLstm` that reads the teacher's tokens.

    Of a teacher of another family it has what a `BiLstm` needs, by the names of BERT's.
    """
    if isinstance(teacher, BertConfig):
        config = copy.deepcopy(teacher)
    else:
        config = BertConfig(
            vocab_size=teacher.vocab_size,
            # The width of the word embeddings, which need not be that of the layers.
            hidden_size=getattr(teacher, "embedding_size", teacher.hidden_size),
            num_attention_heads=1,  # of none; BERT's twelve need not divide the width
            max_position_embeddings=usable_positions(teacher),
            pad_token_id=teacher.pad_token_id,
            id2label=teacher.id2label,
            label2id=teacher.label2id,
            problem_type=teacher.problem_type,
        )
    config._attn_implementation = "eager"  # the teacher's may be one that returns maps
    config.pairs, config.lstm_size, config.dense_size = pairs, hidden, inner
    return config


def bilstm_inventory(model: BiLstm) -> Inventory:
    """Count a student: its word embeddings, and what stays dense."""
    rows, width = model.embedding.weight.shape
    parts = {"LSTM": model.lstm, "dense": model.dense, "classifier": model.classifier}
    whole = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    return Inventory((Matrix("embedding", rows, width, True),), whole)
