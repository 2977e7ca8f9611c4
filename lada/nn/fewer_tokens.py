"""A tokenizer and a model that have a part of their tokens; see `lada.nn.vocabulary`."""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from lada.errors import LadaError
from lada.nn.families import family_of, word_embeddings
from lada.nn.tokenizer import read_tokenizer
from lada.nn.vocabulary import Spec, kept_ids, trimmed, why_not

TOKEN_IDS = (
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "cls_token_id",
    "sep_token_id",
    "mask_token_id",
    "unk_token_id",
)
"""The fields of configs that are ids of tokens."""


def check_trimmable(tokenizer: PreTrainedTokenizerFast) -> None:
    """Reject a tokenizer of a kind whose vocabulary cannot be trimmed.

    Raises:
        LadaError: with its kind.
    """
    if (kind := why_not(_spec(tokenizer))) is not None:
        raise LadaError(
            f"method.vocabulary=trim: the tokenizer of this model is {kind}, which cannot be "
            "trimmed yet. Leave it out."
        )


@dataclass(frozen=True, eq=False)
class FewerTokens:
    """The tokens of a model that stay.

    Attributes:
        kept: their ids in the whole vocabulary, ascending, (kept,) int64. The new id of each is its
            place here.
        of: rows of the word embeddings of the whole model.
        tokenizer: that has these tokens alone.
    """

    kept: NDArray[np.int64]
    of: int
    tokenizer: PreTrainedTokenizerFast

    def __len__(self) -> int:
        return len(self.kept)

    def renumbered(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """The new ids of kept tokens, of the same shape.

        Raises:
            ValueError: a token is not kept.
        """
        places = np.searchsorted(self.kept, ids).clip(max=len(self.kept) - 1)
        if not np.array_equal(self.kept[places], ids):
            raise ValueError("a token is not among those that are kept")
        return places.astype(np.int32)

    def model(self, whole: PreTrainedModel) -> PreTrainedModel:
        """A copy of a model without the word embeddings of other tokens.

        For new ids it has the outputs that the whole model has for the old ones, to the last bit.

        Args:
            whole: the model, which is left as it is.
        """
        name = word_embeddings(whole)
        table = whole.get_submodule(name)
        assert isinstance(table, nn.Embedding)
        kept = torch.from_numpy(self.kept).to(table.weight.device)
        # What is replaced need not be copied before.
        found: PreTrainedModel = copy.deepcopy(whole, {id(table.weight): table.weight})
        self._renumber_(found.config)
        smaller = copy.deepcopy(table, {id(table.weight): table.weight})
        smaller.weight = nn.Parameter(
            table.weight.detach()[kept].clone(), table.weight.requires_grad
        )
        smaller.num_embeddings = len(kept)
        if table.padding_idx is not None:
            smaller.padding_idx = found.config.pad_token_id
        found.set_submodule(name, smaller)
        return found

    def _renumber_(self, config: PreTrainedConfig) -> None:
        places = {int(number): new for new, number in enumerate(self.kept)}
        config.vocab_size = len(places)
        for field in TOKEN_IDS:
            if isinstance(old := getattr(config, field, None), int):
                setattr(config, field, places.get(old))


def with_fewer_tokens(
    tokenizer: PreTrainedTokenizerFast, used: Iterable[int], config: PreTrainedConfig
) -> FewerTokens:
    """Keep the used tokens of a model, and those that its tokenizer and its config need.

    Args:
        tokenizer: of the model; it is left as it is.
        used: ids of tokens.
        config: of the model.

    Raises:
        LadaError: the tokenizer is of a kind that cannot be trimmed, or its class cannot be made
            with fewer tokens.
    """
    check_trimmable(tokenizer)
    spec = _spec(tokenizer)
    needed = {*used, *tokenizer.all_special_ids, *range(family_of(config).offset)}
    needed |= {x for x in (getattr(config, name, None) for name in TOKEN_IDS) if type(x) is int}
    kept = kept_ids(spec, needed)
    fewer = trimmed(spec, kept)
    return FewerTokens(np.array(kept, np.int64), config.vocab_size, _made(tokenizer, fewer))


def _spec(tokenizer: PreTrainedTokenizerFast) -> Spec:
    """The JSON of a tokenizer, without the truncation and padding of its last call."""
    found: Spec = json.loads(tokenizer.backend_tokenizer.to_str())
    return found | {"truncation": None, "padding": None}


def _made(tokenizer: PreTrainedTokenizerFast, spec: Spec) -> PreTrainedTokenizerFast:
    """A tokenizer of the same class and settings with another description.

    It goes through files, as an artifact's tokenizer does: what is trained is what will be read.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
        file = folder / "tokenizer_config.json"
        declared: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if "unk_id" in declared:  # DeBERTa's class numbers the unknown piece itself
            declared["unk_id"] = spec["model"]["unk_id"]
            file.write_text(json.dumps(declared), encoding="utf-8")
        try:
            found = read_tokenizer(folder)
        except LadaError:
            found = None
    if found is None or _spec(found) != spec:
        raise LadaError(
            f"method.vocabulary=trim: the tokenizer of this model, a {type(tokenizer).__name__}, "
            "cannot be made with fewer tokens. Leave it out."
        )
    return found
