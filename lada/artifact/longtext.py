"""Long texts, cut before tokenization where this does not change the truncated tokens.

A fast tokenizer needs a few hundred bytes of memory per character, also for a text that it
truncates to 128 tokens. So a long text is read piece by piece until there are enough tokens, and
the rest is discarded. BERT's tokenizer splits a text into words first, and each word into tokens:
the tokens of a text that is cut before a word are the first tokens of the whole text.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

FREE = 4096
"""Texts of up to so many characters are never cut."""
PIECE = 2**14
"""Characters of a piece; it is doubled if it does not contain two words."""


def shorten(
    tokenizer: "PreTrainedTokenizerFast", text: str, pair: str | None, max_length: int
) -> tuple[str, str | None]:
    """Cut a text (and its pair) so that its truncated tokens stay the same.

    Only for WordPiece after BERT's own pre-tokenizer, truncated on the right; texts for other
    tokenizers are not cut.

    Args:
        tokenizer: a fast one, of transformers.
        max_length: most tokens of both, special ones included.
    """
    longest = max(len(text), len(pair or ""))
    margin = _margin(tokenizer) if longest > FREE else None
    if margin is None:
        return text, pair
    tokenizer.backend_tokenizer.no_truncation()  # left by an earlier call
    tokenizer.backend_tokenizer.no_padding()
    first = _Text(tokenizer, text, margin)
    if pair is None:
        return first.prefix(max_length), None
    second = _Text(tokenizer, pair, margin)
    if not (first.reaches(max_length) and second.reaches(max_length)):
        return first.prefix(max_length), second.prefix(max_length)
    # Both are truncated to the same length, and an odd token goes to the longer one: which of them
    # is longer must not change.
    more = 0
    while first.reaches(max_length + more) and second.reaches(max_length + more):
        more += PIECE
    if first.exceeds(second, max_length + more):
        kept = second.prefix(max_length)
        return first.prefix(second.count(len(kept)) + 1), kept
    kept = first.prefix(max_length)
    return kept, second.prefix(first.count(len(kept)))


class _Text:
    """A text with the tokens of its beginning, as far as they were needed."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", text: str, margin: int):
        self.text = text
        self._pieces = _pieces(tokenizer.backend_tokenizer, text, margin)
        self._ends = [(0, 0)]
        """Characters of a prefix, and its tokens."""

    def reaches(self, least: int) -> bool:
        """Whether it has at least so many tokens."""
        while self._ends[-1][1] < least:
            found = next(self._pieces, None)
            if found is None:
                return False
            end, tokens = self._ends[-1]
            self._ends.append((end + found[0], tokens + found[1]))
        return True

    def exceeds(self, other: "_Text", least: int) -> bool:
        """Whether it has more tokens than another, one of them having fewer than ``least``."""
        self.reaches(least)
        other.reaches(least)
        return self._ends[-1][1] > other._ends[-1][1]

    def prefix(self, least: int) -> str:
        """The shortest known prefix with at least so many tokens, or the whole text."""
        if not self.reaches(least):
            return self.text
        return self.text[: next(end for end, tokens in self._ends if tokens >= least)]

    def count(self, length: int) -> int:
        """The number of tokens of a prefix that `prefix` returned, by its length."""
        return max(tokens for end, tokens in self._ends if end <= length)


def _pieces(backend: "Tokenizer", text: str, margin: int) -> Iterator[tuple[int, int]]:
    """Characters and tokens of the pieces of a text; all but the last end before a word."""
    begin, size = 0, PIECE
    while begin < len(text):
        piece = text[begin : begin + size]
        last = begin + size >= len(text)
        if piece.isspace():
            yield len(piece), 0
            begin += len(piece)
            continue
        found = backend.encode(piece, add_special_tokens=False)
        if last:
            yield len(piece), len(found.ids)
            return
        # The last word may continue after the piece, and so may an added token such as [SEP].
        starts = [span[0] for span in found.offsets]
        words = found.word_ids
        places = range(len(starts) - 1, 0, -1)
        begins = (i for i in places if words[i] != words[i - 1] and starts[i] <= size - margin)
        cut = next(begins, None)
        if cut is None:
            size *= 2
            continue
        yield starts[cut], cut
        begin, size = begin + starts[cut], PIECE


def _margin(tokenizer: "PreTrainedTokenizerFast") -> int | None:
    """Characters before the end of a piece that may belong to a word or token after it.

    None for tokenizers whose words are not known to be independent.
    """
    if tokenizer.truncation_side != "right":
        return None
    backend = tokenizer.backend_tokenizer
    parts = [_kind(backend.normalizer), _kind(backend.pre_tokenizer), _kind(backend.model)]
    if parts[0] not in ("BertNormalizer", None) or parts[1:] != ["BertPreTokenizer", "WordPiece"]:
        return None
    added = list(backend.get_added_tokens_decoder().values())
    if any(token.single_word or token.lstrip or token.rstrip for token in added):
        return None
    return 1 + max((len(token.content) for token in added), default=0)


def _kind(part: Any) -> str | None:
    return None if part is None else type(part).__name__
