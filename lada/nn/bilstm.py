"""The student of Tang et al. 2019: one bidirectional LSTM layer, arXiv 1903.12136, section 3.

What the paper leaves open or has otherwise, and what is chosen here:

- The paper feeds whole words with word2vec vectors; here it is the teacher's tokens, and the word
  table starts as the teacher's, so that both read the same batch.
- [CLS] is left out: it says nothing to an LSTM, and would stand in the first sentence of a pair
  only. [SEP] stays as the end of a sentence; so equal sentences have equal states.
- Dropout after the fully connected layer's ReLU, 0.1, as in the authors' code for one sentence.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from lada.nn.factors import FactorizedEmbedding

HIDDEN = 300
INNER = 400
"""The paper's largest sizes: states of a direction, and the fully connected layer."""


class BiLstm(nn.Module):
    """A classifier of one sentence, or of a pair of sentences read by the same LSTM.

    Args:
        embedding: token ids (...) -> (..., width); trained along.
        width: of its vectors.
        classes: number of classes.
        pairs: whether rows are pairs; their states u and v become [u; v; u * v; |u - v|].
        hidden: width of the states of one direction.
        inner: width of the fully connected layer.
        dropout: share that is dropped of that layer's output.
    """

    def __init__(
        self,
        embedding: nn.Module,
        width: int,
        classes: int,
        *,
        pairs: bool,
        hidden: int = HIDDEN,
        inner: int = INNER,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.pairs = pairs
        self.embedding = embedding
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.dense = nn.Linear((8 if pairs else 2) * hidden, inner)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(inner, classes)

    @classmethod
    def from_teacher(
        cls, teacher: BertForSequenceClassification, *, pairs: bool, rank: int | None = None
    ) -> "BiLstm":
        """The paper's sizes, the teacher's classes, and a copy of its word table.

        The rest is random, by torch's generator.

        Args:
            rank: of a `FactorizedEmbedding` in place of the whole table; None: the whole.
        """
        table = teacher.bert.embeddings.word_embeddings
        if rank is None:
            embedding = copy.deepcopy(table).requires_grad_(True)  # the teacher's may be frozen
        else:
            embedding = FactorizedEmbedding.from_embedding(table, rank)
        return cls(embedding, table.embedding_dim, teacher.config.num_labels, pairs=pairs)

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
        if self.pairs:
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


def bilstm_size(
    table: int, width: int, classes: int, *, pairs: bool, hidden: int = HIDDEN, inner: int = INNER
) -> int:
    """How many parameters a `BiLstm` has, of which ``table`` are its embedding's.

    An LSTM has four gates, each with a matrix for its input, one for its state, and two biases.
    """
    lstm = 4 * hidden * (width + hidden + 2)
    states = (8 if pairs else 2) * hidden
    return table + 2 * lstm + (states + 1) * inner + (inner + 1) * classes
