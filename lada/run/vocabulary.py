"""What a student reads that has fewer tokens than its teacher."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lada.data.tokens import Encoded
from lada.nn.fewer_tokens import FewerTokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, eq=False)
class Fewer:
    """The tokens of a student, and the texts that have others, tokenized by its tokenizer.

    Training texts have no others: their tokens are the teacher's with new numbers.
    """

    tokens: FewerTokens
    validation: Encoded
    dev: dict[str, Encoded]


def about_vocabulary(
    fewer: Fewer, tokenizer: "PreTrainedTokenizerFast", dev: dict[str, Encoded]
) -> dict[str, Any]:
    """How many tokens are kept, of how many, for the record of a run.

    Args:
        tokenizer: the teacher's.
        dev: by its tokens.

    Returns:
        ``kept`` and ``of``: rows of the word embeddings; ``dev_unseen``: the share of the tokens of
        all dev splits, special ones left out, that are not kept.
    """
    ids = np.concatenate([examples.ids for examples in dev.values()])
    ids = ids[~np.isin(ids, tokenizer.all_special_ids)]
    unseen = float((~np.isin(ids, fewer.tokens.kept)).mean()) if len(ids) else 0.0
    return {"kept": len(fewer.tokens), "of": fewer.tokens.of, "dev_unseen": round(unseen, 7)}
