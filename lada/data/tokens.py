"""Token ids of a split, kept in a cache that is keyed by content."""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from lada.data.split import Split
from lada.errors import LadaError

_FORMAT = 2
"""Version of the cache files' content; part of their key."""
_CHUNK = 4096
"""Examples tokenized at a time, to bound the memory of the lists that the tokenizer returns."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Token ids of every example, one after another, without padding."""

    ids: NDArray[np.int32]
    """Token ids of all examples one after another, special tokens included, (tokens,)."""
    starts: NDArray[np.int64]
    """Where each example starts in `ids`, and where the last one ends, (examples + 1,)."""
    first: NDArray[np.int32]
    """Tokens of each example with token type 0, which come first; the rest have 1, (examples,)."""
    labels: NDArray[Any]
    """What is learned: class ids (examples,), numbers (examples,) or (examples, labels), a start
    and an end (examples, 2), or a tag per token (tokens,), with -100 where a token has none and -1
    where its word has none."""
    groups: NDArray[np.int64] | None = None
    """The query of each example, for rerankers, (examples,)."""
    source: NDArray[np.int64] | None = None
    """The example of the split that each one is a window of, (examples,); None: its own."""
    words: NDArray[np.int32] | None = None
    """The number in its text of the word that each token with a label begins, (tokens,); -1 for
    others."""
    offsets: NDArray[np.int32] | None = None
    """The characters [start, end) in its text of each token of a context, (tokens, 2); -1 for
    others."""
    token_labels: bool = False
    """Whether labels are per token."""
    given: NDArray[np.float32] | None = None
    """What another model says of each example, NaN where nothing, (examples, width)."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def targets(self) -> NDArray[np.int64]:
        """How many outputs of each example are learned, (examples,): 1, or those of its words."""
        if not self.token_labels:
            return np.ones(len(self), np.int64)
        assert self.words is not None
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.words >= 0)])[self.starts]
        return np.diff(ends)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, (examples,)."""
        return np.diff(self.starts)


def joined(first: Encoded, second: Encoded) -> Encoded:
    """The examples of both, in order; they have no queries."""
    source = words = offsets = None
    if first.source is not None and second.source is not None:
        source = np.concatenate([first.source, second.source + first.source.max() + 1])
    if first.words is not None and second.words is not None:
        words = np.concatenate([first.words, second.words])
    if first.offsets is not None and second.offsets is not None:
        offsets = np.concatenate([first.offsets, second.offsets])
    return Encoded(
        ids=np.concatenate([first.ids, second.ids]),
        starts=np.concatenate([first.starts, first.starts[-1] + second.starts[1:]]),
        first=np.concatenate([first.first, second.first]),
        labels=np.concatenate([first.labels, second.labels]),
        source=source,
        words=words,
        offsets=offsets,
        token_labels=first.token_labels,
        given=_given(first, second),
    )


def _given(first: Encoded, second: Encoded) -> NDArray[np.float32] | None:
    known = [part.given for part in (first, second) if part.given is not None]
    if not known:
        return None
    parts = [
        np.full((len(part), known[0].shape[1]), np.nan, np.float32)
        if part.given is None
        else part.given
        for part in (first, second)
    ]
    return np.concatenate(parts)


def encode(
    split: Split, tokenizer: PreTrainedTokenizerFast, max_length: int, cache_dir: Path | None
) -> Encoded:
    """Tokenize every example, or read the tokens from the cache.

    Args:
        split: the examples.
        tokenizer: a fast tokenizer; examples over `max_length` are truncated longest text first.
        max_length: most tokens of an example, special tokens included.
        cache_dir: folder of the cache files, made if missing; None for no cache. A cache file that
            cannot be read or does not fit the split is made again.

    Raises:
        LadaError: `max_length` leaves no room for text, or the cache cannot be written.
    """
    check_room(tokenizer, max_length, pairs=split.pairs is not None)
    if cache_dir is None:
        return _tokenize(split, tokenizer, max_length)
    path = cache_dir / f"{_cache_key(split, tokenizer, max_length)}.safetensors"
    cached = _read(path, split, max_length, len(tokenizer))
    if cached is not None:
        return cached
    encoded = _tokenize(split, tokenizer, max_length)
    _write(path, encoded)
    return encoded


def check_room(tokenizer: PreTrainedTokenizerFast, max_length: int, *, pairs: bool) -> None:
    """Check that there is room for text.

    Raises:
        LadaError: special tokens alone take it all.
    """
    special = tokenizer.num_special_tokens_to_add(pair=pairs)
    least = special + (2 if pairs else 1)
    if max_length < least:
        raise LadaError(
            f"task.max_length={max_length}: this leaves no room for text next to {special} special "
            f"tokens. Set {least} or more."
        )


def _tokenize(split: Split, tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    ids: list[NDArray[np.int32]] = []
    lengths = np.zeros(len(split), dtype=np.int64)
    first = np.zeros(len(split), dtype=np.int32)
    for begin in range(0, len(split), _CHUNK):
        end = min(begin + _CHUNK, len(split))
        batch = tokenizer(
            list(split.texts[begin:end]),
            None if split.pairs is None else list(split.pairs[begin:end]),
            truncation="longest_first",
            max_length=max_length,
            padding=False,
            return_token_type_ids=True,
            return_attention_mask=False,
        )
        for number, tokens in enumerate(batch["input_ids"], start=begin):
            ids.append(np.asarray(tokens, dtype=np.int32))
            lengths[number] = len(tokens)
        # Counted from the types, not from the position of a separator: models without segments
        # have type 0 throughout, however many texts an example has.
        for number, types in enumerate(batch["token_type_ids"], start=begin):
            first[number] = types.count(0) if gives_types(tokenizer) else len(types)
    # Otherwise the truncation of the call stays in the tokenizer and would be saved with it, so
    # that the saved file would depend on whether there was a cache.
    tokenizer.backend_tokenizer.no_truncation()
    return Encoded(
        ids=np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32),
        starts=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]),
        first=first,
        labels=split.labels,
        groups=split.groups,
        given=split.given,
    )


def gives_types(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether this tokenizer returns token types; else all of them are 0."""
    return "token_type_ids" in tokenizer.model_input_names


def unknown_share(encoded: Encoded, tokenizer: PreTrainedTokenizerFast, *, pairs: bool) -> float:
    """Share of unknown tokens among those of the texts; 0 without an unknown token."""
    special = tokenizer.num_special_tokens_to_add(pair=pairs)
    of_texts = len(encoded.ids) - special * len(encoded)
    if tokenizer.unk_token_id is None or of_texts == 0:
        return 0.0
    return float(np.count_nonzero(encoded.ids == tokenizer.unk_token_id) / of_texts)


def _cache_key(split: Split, tokenizer: PreTrainedTokenizerFast, max_length: int) -> str:
    parts = [str(_FORMAT), split.digest, _tokenizer_key(tokenizer), str(max_length)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _tokenizer_key(tokenizer: PreTrainedTokenizerFast) -> str:
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    # Every call leaves its own truncation and padding in the state. They are not properties of the
    # tokenizer, and would change its key after the first call.
    state["truncation"] = state["padding"] = None
    state["truncation_side"] = tokenizer.truncation_side
    if not gives_types(tokenizer):  # not in the key of others, so that older keys stay
        state["types"] = False
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _read(path: Path, split: Split, max_length: int, tokens: int) -> Encoded | None:
    """Return the tokens in a cache file, or None if it is missing, corrupt or does not fit."""
    try:
        # Read by torch, which maps the file into memory: processes share it.
        arrays = {name: tensor.numpy() for name, tensor in load_file(path).items()}
        encoded = Encoded(
            arrays["ids"],
            arrays["starts"],
            arrays["first"],
            split.labels,
            split.groups,
            given=split.given,
        )
        whole = arrays["sha256"].tobytes() == content_digest(encoded)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError):
        return None
    return encoded if whole and _fits(encoded, len(split), max_length, tokens) else None


def content_digest(encoded: Encoded) -> bytes:
    """SHA-256 of all tokens; labels are not in it."""
    digest = hashlib.sha256()
    for part in (encoded.ids, encoded.starts, encoded.first):
        digest.update(np.ascontiguousarray(part).data)
    return digest.digest()


def _fits(encoded: Encoded, count: int, max_length: int, tokens: int) -> bool:
    ids, starts, first = encoded.ids, encoded.starts, encoded.first
    if ids.dtype != np.int32 or starts.dtype != np.int64 or first.dtype != np.int32:
        return False
    if ids.ndim != 1 or starts.shape != (count + 1,) or first.shape != (count,):
        return False
    lengths = encoded.lengths
    return bool(
        starts[0] == 0
        and starts[-1] == len(ids)
        and np.all((lengths >= 0) & (lengths <= max_length))
        and np.all((first >= 0) & (first <= lengths))
        and np.all((ids >= 0) & (ids < tokens))
    )


def _write(path: Path, encoded: Encoded) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "ids": encoded.ids,
        "starts": encoded.starts,
        "first": encoded.first,
        "sha256": np.frombuffer(content_digest(encoded), dtype=np.uint8),
    }
    # Written under another name and renamed, so that a concurrent reader never sees half of it.
    aside = path.with_name(f"{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_bytes(save(arrays))
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise LadaError(
            f"paths.cache={path.parent}: the token cache cannot be written ({error.strerror}). "
            "Give a writable folder."
        ) from error
