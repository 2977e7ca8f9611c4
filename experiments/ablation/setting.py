"""What measurements in one shot share: model, sentences, hidden states, the file of rows."""

import argparse
import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.data.batches import collate
from lada.data.split import Split
from lada.data.tokens import encode
from lada.nn.pretrained import find_model, load_tokenizer
from lada.nn.statistics import gather
from lada.ops.statistics import Statistics

EXAMPLES = 1024
STATES = 256
"""Sentences whose hidden states are compared."""


class Setting(NamedTuple):
    """The pretrained MiniLM, and training sentences of SST-2."""

    model: Any
    tokenizer: Any
    seen: list[str]
    """`EXAMPLES` sentences that statistics are of."""
    others: list[str]
    """As many others, that errors are of."""
    out: Path
    """The file of the rows."""

    @property
    def shown(self) -> list[str]:
        """The last `STATES` of the others."""
        return self.others[-STATES:]


def begin(description: str | None) -> Setting:
    """Read the arguments ``SST2 OUT.json`` and what is measured with."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("sst2", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    folder = find_model("minilm-l6", None)
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    texts = sentences(arguments.sst2)
    tokenizer = load_tokenizer(folder, [])
    return Setting(model, tokenizer, texts[:EXAMPLES], texts[EXAMPLES:], arguments.out)


def finish(rows: list[dict[str, Any]], out: Path) -> None:
    """Write all rows."""
    done = {"examples": EXAMPLES, "torch": torch.__version__, "rows": rows}
    out.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def rows_of(file: Path) -> list[dict[str, str]]:
    """The rows of a table with tabs, or of FILE.gz in its place."""
    file = file if file.exists() else file.with_name(f"{file.name}.gz")
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def sentences(folder: Path) -> list[str]:
    """Twice `EXAMPLES` sentences of the train file, drawn at random."""
    rows = rows_of(folder / "train.tsv")
    chosen = np.random.default_rng(0).permutation(len(rows))[: 2 * EXAMPLES]
    return [rows[place]["sentence"] for place in chosen]


def batches(texts: list[str], tokenizer: Any) -> Iterator[dict[str, Tensor]]:
    """These texts, longest first."""
    split = Split("train", texts, None, np.zeros(len(texts), np.int64))
    rows = encode(split, tokenizer, 64, None)
    numbers = np.argsort(-rows.lengths, kind="stable")
    for at in range(0, len(numbers), 32):
        yield collate(rows, numbers[at : at + 32], tokenizer.pad_token_id)


def statistics(setting: Setting) -> tuple[Statistics, Statistics]:
    """What the model's layers see of the first sentences, and of the others."""
    model, tokenizer = setting.model, setting.tokenizer
    seen, others = (
        gather(model, batches(part, tokenizer)) for part in (setting.seen, setting.others)
    )
    return seen, others


@torch.no_grad()
def states(model: Any, texts: list[str], tokenizer: Any) -> list[Tensor]:
    """The hidden states of all tokens, without padding: (tokens, width) for each layer."""
    model.eval()
    found = []
    for batch in batches(texts, tokenizer):
        real = batch["attention_mask"].bool()
        out = model.bert(batch["input_ids"], attention_mask=real, output_hidden_states=True)
        found.append([state[real] for state in out.hidden_states])
    return [torch.cat(layer) for layer in zip(*found, strict=True)]


def distance(theirs: list[Tensor], ours: list[Tensor]) -> float:
    """The squared error of states over their variance, a mean over layers."""
    found = [
        float((a - b).square().sum() / (a - a.mean(0)).square().sum())
        for a, b in zip(theirs, ours, strict=True)
    ]
    return float(np.mean(found))
