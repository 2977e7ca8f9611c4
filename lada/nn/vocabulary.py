"""A smaller vocabulary for a tokenizer: which tokens stay, and its description with them alone.

Works on the JSON of a tokenizer (``tokenizer.json``). Tokens are renumbered in order. A text whose
tokens all stay, and none of which is unknown, is encoded as before:

- WordPiece takes the longest token that fits. Where that stays, it is still the longest.
- BPE merges the pair of the first merge in its list. The merges that build a token from its
  characters stay with it, in order, and so do the tokens between.
- Unigram takes the pieces with the largest sum of scores. Where they stay, no others have more. An
  unknown character scores less than the least piece, so that piece stays, too.

Other texts fall into smaller tokens, since all single characters of the vocabulary stay.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

Spec = dict[str, Any]
"""What a tokenizer.json holds."""

BYTES = frozenset(f"<0x{byte:02X}>" for byte in range(256))
"""The tokens of single bytes that a vocabulary may have for unknown characters."""


def kind_of(spec: Spec) -> str:
    """The kind of a tokenizer's model: "WordPiece", "BPE", "Unigram" or another."""
    return str(spec["model"].get("type"))


def why_not(spec: Spec) -> str | None:
    """Why the vocabulary of a tokenizer cannot be trimmed; None if it can."""
    kind, model = kind_of(spec), spec["model"]
    if kind not in _BASES:
        return kind
    if kind == "BPE":
        for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
            if model.get(field):
                return f"BPE with {field}"
    return None


def ids_of(spec: Spec) -> dict[str, int]:
    """The id of every token, added ones included."""
    vocab = spec["model"]["vocab"]
    if isinstance(vocab, dict):
        found = dict(vocab)
    else:  # Unigram: pieces with their scores, in order
        found = {piece: number for number, (piece, _) in enumerate(vocab)}
    return found | {token["content"]: token["id"] for token in spec["added_tokens"]}


def kept_ids(spec: Spec, used: Iterable[int]) -> list[int]:
    """The ids of the tokens that stay, ascending.

    These are the used ones, added and special tokens, single characters, and what the kind of
    tokenizer needs to find them.

    Args:
        spec: of a tokenizer of a known kind (see `why_not`).
        used: ids that stay in any case.

    Example:
        >>> vocab = {"[UNK]": 0, "soup": 1, "so": 2, "s": 3, "##up": 4, "##u": 5}
        >>> model = {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocab,
        ...          "continuing_subword_prefix": "##"}
        >>> kept_ids({"model": model, "added_tokens": [], "post_processor": None}, [4])
        [0, 3, 4, 5]
    """
    ids = ids_of(spec)
    tokens = {number: token for token, number in ids.items()}
    kept = {number for number in used if number in tokens}
    kept |= {token["id"] for token in spec["added_tokens"]}
    base = _BASES[kind_of(spec)](spec["model"], ids)
    kept |= {ids[token] for token in base if token in ids}
    kept |= set(_ids_of_parts(spec["post_processor"]))
    if kind_of(spec) == "BPE":
        ranks = _ranks(spec["model"]["merges"])
        # Added tokens are found in texts before any merge.
        for number in kept - {token["id"] for token in spec["added_tokens"]}:
            kept |= {ids[part] for part in _built_from(tokens[number], ranks) if part in ids}
    return sorted(kept)


def trimmed(spec: Spec, kept: Sequence[int]) -> Spec:
    """The description of the tokenizer that has these tokens alone, numbered from 0 in order.

    Args:
        kept: as `kept_ids` says, ascending.

    Example:
        >>> vocab = {"[UNK]": 0, "soup": 1, "s": 2}
        >>> model = {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocab}
        >>> spec = {"model": model, "added_tokens": [], "post_processor": None}
        >>> trimmed(spec, [0, 2])["model"]["vocab"]
        {'[UNK]': 0, 's': 1}
    """
    place = {number: new for new, number in enumerate(kept)}
    model = dict(spec["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {t: place[i] for t, i in model["vocab"].items() if i in place}
    else:
        pieces = model["vocab"]
        model["vocab"] = [pair for number, pair in enumerate(pieces) if number in place]
        if model["unk_id"] is not None:
            model["unk_id"] = place[model["unk_id"]]
    if "merges" in model:
        known = model["vocab"]
        model["merges"] = [
            [a, b] for a, b in model["merges"] if a in known and b in known and a + b in known
        ]
    added = [token | {"id": place[token["id"]]} for token in spec["added_tokens"]]
    parts = _renumbered(spec["post_processor"], place)
    return spec | {"model": model, "added_tokens": added, "post_processor": parts}


def _base_of_wordpiece(model: Mapping[str, Any], ids: Mapping[str, int]) -> Iterable[str]:
    prefix = model["continuing_subword_prefix"]
    yield model["unk_token"]
    yield from (token for token in ids if len(token) == 1)
    yield from (t for t in ids if t.startswith(prefix) and len(t) == len(prefix) + 1)


def _base_of_bpe(model: Mapping[str, Any], ids: Mapping[str, int]) -> Iterable[str]:
    yield from (token for token in ids if len(token) == 1 or token in BYTES)
    if model["unk_token"] is not None:
        yield model["unk_token"]


def _base_of_unigram(model: Mapping[str, Any], ids: Mapping[str, int]) -> Iterable[str]:
    yield from (token for token in ids if len(token) == 1 or token in BYTES)
    if model["unk_id"] is not None:
        yield model["vocab"][model["unk_id"]][0]
    yield min(model["vocab"], key=lambda pair: float(pair[1]))[0]


_BASES: dict[str, Callable[[Mapping[str, Any], Mapping[str, int]], Iterable[str]]] = {
    "WordPiece": _base_of_wordpiece,
    "BPE": _base_of_bpe,
    "Unigram": _base_of_unigram,
}
"""By kind: the tokens that stay whatever is used."""


def _ranks(merges: Sequence[Sequence[str]]) -> dict[tuple[str, str], int]:
    return {(first, second): rank for rank, (first, second) in enumerate(merges)}


def _built_from(token: str, ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """The tokens that merging makes on its way from the characters of a token to it.

    Inside a longer text they are made in the same order, or the token is not found there.

    Example:
        >>> _built_from("the", {("t", "h"): 0, ("th", "e"): 1})
        ['th', 'the']
    """
    parts, made = list(token), []
    while len(parts) > 1:
        pairs = [ranks.get(pair, len(ranks)) for pair in pairwise(parts)]
        place = min(range(len(pairs)), key=pairs.__getitem__)
        if pairs[place] == len(ranks):
            break
        made.append(parts[place] + parts[place + 1])
        parts[place : place + 2] = made[-1:]
    return made


def _ids_of_parts(part: Any) -> list[int]:
    """The ids that a post-processor puts around texts."""
    if part is None:
        return []
    if part["type"] == "Sequence":
        return [number for one in part["processors"] for number in _ids_of_parts(one)]
    if part["type"] == "TemplateProcessing":
        return [number for token in part["special_tokens"].values() for number in token["ids"]]
    return [part[name][1] for name in ("sep", "cls") if name in part]


def _renumbered(part: Any, place: Mapping[int, int]) -> Any:
    """A post-processor with new ids."""
    if part is None:
        return None
    if part["type"] == "Sequence":
        return part | {"processors": [_renumbered(one, place) for one in part["processors"]]}
    if part["type"] == "TemplateProcessing":
        special = {
            name: token | {"ids": [place[number] for number in token["ids"]]}
            for name, token in part["special_tokens"].items()
        }
        return part | {"special_tokens": special}
    pairs = {name: [part[name][0], place[part[name][1]]] for name in ("sep", "cls") if name in part}
    return part | pairs
