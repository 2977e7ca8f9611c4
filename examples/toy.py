"""A tiny classifier and a few hundred sentences, for the examples beside this file."""

import random
from pathlib import Path

import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

import lada

WORDS = {0: ("awful", "bad", "poor"), 1: ("lovely", "great", "fine")}
FILLER = "the a of in on it we they old new red soup film".split()
LENGTH = 12


def make_classifier() -> tuple[BertForSequenceClassification, BertTokenizer]:
    """A BERT of two layers, fine-tuned for a moment, and its tokenizer."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FILLER, *WORDS[0], *WORDS[1]]
    words += [f"[unused{number}]" for number in range(1000 - len(words))]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=32,
        id2label={0: "bad", 1: "good"},
        label2id={"bad": 0, "good": 1},
    )
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for batch in make_batches(tokenizer, 60):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    return model, tokenizer


def make_examples(tokenizer: BertTokenizer, count: int) -> list[dict[str, Tensor]]:
    """Tokenized sentences with their labels."""
    draw = random.Random(1)
    out = []
    for _ in range(count):
        label = draw.randrange(2)
        text = " ".join([*draw.choices(FILLER, k=draw.randint(2, 8)), draw.choice(WORDS[label])])
        tokens = tokenizer(text, padding="max_length", max_length=LENGTH, return_tensors="pt")
        out.append({k: v[0] for k, v in tokens.items()} | {"labels": torch.tensor(label)})
    return out


def make_batches(tokenizer: BertTokenizer, count: int, size: int = 16) -> list[dict[str, Tensor]]:
    """So many batches of those examples."""
    examples = make_examples(tokenizer, count * size)
    return [
        {name: torch.stack([e[name] for e in examples[i : i + size]]) for name in examples[0]}
        for i in range(0, len(examples), size)
    ]


def save_and_compare(compression: lada.Compression, tokenizer: BertTokenizer, folder: Path) -> None:
    """Write the student, read it back, and show what came out."""
    about = {"task": "toy", "max_length": LENGTH}
    lada.save(compression.model, tokenizer, folder, about, values="fp32")
    answer = lada.load(folder)("the soup was lovely")
    print(f"{folder}: {compression.ratio:.2f}x smaller; the soup was lovely: {answer.label}")
