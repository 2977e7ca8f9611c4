"""BERT-base with random weights whose singular values fall."""

import torch
from transformers import BertConfig, BertForSequenceClassification


def bert_base(decay: float = 0.5) -> BertForSequenceClassification:
    """BERT-base whose matrices have singular values k^-decay; 0: the flattest spectra."""
    torch.manual_seed(1)
    model = BertForSequenceClassification(BertConfig()).eval()
    for parameter in model.parameters() if decay else ():
        if parameter.ndim == 2 and min(parameter.shape) > 2:
            left, _ = torch.linalg.qr(torch.randn(parameter.shape[0], min(parameter.shape)))
            right, _ = torch.linalg.qr(torch.randn(parameter.shape[1], min(parameter.shape)))
            values = torch.arange(1, left.shape[1] + 1).float() ** -decay
            parameter.data = (left * values) @ right.T
    return model
