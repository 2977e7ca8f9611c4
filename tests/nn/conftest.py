"""A BERT classifier of a few thousand parameters, and a batch with padding."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
    "num_labels": 3,
}


@pytest.fixture
def make_bert() -> Callable[..., BertForSequenceClassification]:
    """Random, in eval mode; weights ten times the usual size, so that nothing is near zero."""

    def make(seed: int = 0, **changes: object) -> BertForSequenceClassification:
        torch.manual_seed(seed)
        model = BertForSequenceClassification(
            BertConfig(**{**SMALL, "initializer_range": 0.2, **changes})
        ).eval()
        # The row of padding starts as zeros, which are no entries to count.
        model.bert.embeddings.word_embeddings.weight.data[0].normal_(std=0.2)
        return model

    return make


@pytest.fixture
def bert(
    make_bert: Callable[..., BertForSequenceClassification],
) -> BertForSequenceClassification:
    return make_bert()


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Three rows of 7, 4 and 1 real tokens."""
    mask = torch.zeros(3, 7, dtype=torch.int64)
    for i, length in enumerate((7, 4, 1)):
        mask[i, :length] = 1
    types = torch.zeros(3, 7, dtype=torch.int64)
    types[0, 4:] = 1
    ids = torch.randint(1, 40, (3, 7), generator=torch.Generator().manual_seed(7))
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": types}
