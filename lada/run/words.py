"""What other words a text may have: by word embeddings, or by a masked language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.data.augment import CANDIDATES, Word
from lada.errors import LadaError
from lada.nn.autos import MASKED
from lada.nn.families import usable_positions, word_embeddings
from lada.nn.pretrained import check_encoder_folder, loaded
from lada.nn.tokenizer import read_tokenizer
from lada.ops.neighbours import nearest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

KEY = "data.mlm"
LOGITS = 2**26
"""Numbers that a forward pass may return at once."""


@dataclass(frozen=True)
class Neighbours:
    """Words whose word embeddings have the largest cosines.

    Attributes:
        model: whose word embeddings they are.
        whole: the words, by id.
    """

    model: PreTrainedModel
    whole: dict[int, str]

    @torch.no_grad()
    def __call__(self, texts: Sequence[str], words: list[list[Word]]) -> list[list[Sequence[str]]]:
        """See `lada.data.augment.Choose`."""
        table: Any = self.model.get_submodule(word_embeddings(self.model))
        used = torch.tensor(sorted({word.token for there in words for word in there}))
        among = torch.tensor(sorted(self.whole))
        if len(among) < 2 or not len(used):
            return [[()] * len(there) for there in words]
        found = nearest(table.weight.detach().cpu(), used, among, CANDIDATES)
        near = {i: [self.whole[n] for n in row]
                for i, row in zip(used.tolist(), found.tolist(), strict=True)}  # fmt: skip
        return [[near[word.token] for word in there] for there in words]


@dataclass(frozen=True)
class MaskedWords:
    """Words that a masked language model finds most likely in the place of a masked word.

    One word is masked at a time, in a text of its own.

    Attributes:
        model: the masked language model.
        tokenizer: of it.
        whole: its words, by id.
    """

    model: PreTrainedModel
    tokenizer: "PreTrainedTokenizerFast"
    whole: dict[int, str]

    @torch.no_grad()
    def __call__(self, texts: Sequence[str], words: list[list[Word]]) -> list[list[Sequence[str]]]:
        """See `lada.data.augment.Choose`; a word beyond the model's length stays."""
        out: list[list[Sequence[str]]] = [[()] * len(there) for there in words]
        among = torch.tensor(sorted(self.whole))
        length = min(usable_positions(self.model.config), 512)
        places, rows = [], []
        for number, text in enumerate(texts):
            read = self.tokenizer(
                text, truncation=True, max_length=length, return_offsets_mapping=True
            )
            ends = {end: place for place, (start, end) in enumerate(read["offset_mapping"]) if end}
            for index, word in enumerate(words[number]):
                if word.end in ends:
                    places.append((number, index, ends[word.end]))
                    rows.append(read["input_ids"])
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        begin = 0
        while begin < len(order) and len(among) > 1:
            tokens = LOGITS // self.model.config.vocab_size
            part = order[begin : begin + max(1, tokens // len(rows[order[begin]]))]
            begin += len(part)
            own = [words[places[row][0]][places[row][1]].token for row in part]
            found = self._likely([rows[row] for row in part], [places[r][2] for r in part], own,
                                 among)  # fmt: skip
            for row, likely in zip(part, found.tolist(), strict=True):
                number, index, _ = places[row]
                out[number][index] = [self.whole[token] for token in likely]
        return out

    def _likely(
        self, rows: list[list[int]], places: list[int], own: list[int], among: Tensor
    ) -> Tensor:
        """The likeliest tokens of ``among`` in a place of each row, (rows, `CANDIDATES`)."""
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id)
        mask = torch.zeros(len(rows), longest, dtype=torch.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        every = torch.arange(len(rows))
        ids[every, places] = self.tokenizer.mask_token_id
        device = self.model.device
        logits = self.model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
        likely = logits[every, places].float().cpu()[:, among]
        likely = likely.masked_fill(among[None, :] == torch.tensor(own)[:, None], -torch.inf)
        return among[likely.topk(min(CANDIDATES, len(among) - 1)).indices]


def load_masked(folder: Path) -> tuple[PreTrainedModel, "PreTrainedTokenizerFast"]:
    """The masked language model of a local folder, in evaluation mode, and its tokenizer.

    Code in the folder is never run, and pickled weights are not read.

    Raises:
        LadaError: there is none, or it lacks a part.
    """
    if not folder.is_dir():
        raise LadaError(f"{KEY}={folder}: no such folder. Give one of a masked language model.")
    check_encoder_folder(folder, KEY)
    model, info = loaded(folder, MASKED, {}, strict=True)
    if lacking := sorted(info["missing_keys"]):
        raise LadaError(
            f"{KEY}={folder}: {lacking[0]} is missing. Give the folder of a masked language model."
        )
    tokenizer = read_tokenizer(folder)
    if tokenizer.mask_token_id is None:
        raise LadaError(
            f"{KEY}={folder}: its tokenizer has no mask token. Give the folder of a masked "
            "language model."
        )
    return model.eval(), tokenizer
