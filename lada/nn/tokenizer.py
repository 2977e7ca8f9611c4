"""The tokenizer of a folder: read as transformers reads it, or rejected.

Transformers silently reads a folder whose files do not fit its class: a sentencepiece vocabulary
read as WordPiece turns every text into unknown tokens.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as hf_logging

from lada.errors import LadaError
from lada.files import CONFIG_BYTES, TOKENIZER_BYTES, check_regular, read_json

BERT = (None, "BertTokenizer", "BertTokenizerFast", "ElectraTokenizer", "ElectraTokenizerFast")
"""The classes of a BERT's own tokenizer, also assumed if none is named."""
OWN = {
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
    "mpnet": "MPNetTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "albert": "AlbertTokenizer",
    "modernbert": "TokenizersBackend",
}
"""By model_type: the class that is assumed where it is not a BERT's."""
GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""The classes that are defined by tokenizer.json alone."""
WITH_TYPES = ["input_ids", "token_type_ids", "attention_mask"]
SAVE_FAST = "Save it as tokenizer.json (by save_pretrained of a fast tokenizer)."
PROBES = (("The soup was not bad at all.", None), ("Caf\u00e9 12 \u65e5\u672c?", "a pair's end"))


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder; code in the folder is never run.

    Raises:
        LadaError: there is none, its class is not supported, it needs its own code, its files
            contradict each other, or it lacks tokens that an encoder needs.
    """
    _check_files(folder)
    declared = _json(folder / "tokenizer_config.json", CONFIG_BYTES)
    config = _json(folder / "config.json", CONFIG_BYTES)
    name = declared.get("tokenizer_class") or config.get("tokenizer_class")
    if name is None and isinstance(config.get("model_type"), str):
        name = OWN.get(config["model_type"])
    if not isinstance(name, str | None):
        raise LadaError(
            f"{folder}: tokenizer_class is {name!r}, which is not the name of a class. "
            "Correct tokenizer_config.json."
        )
    if name not in (*BERT, *GENERIC) and "auto_map" in declared and not hasattr(transformers, name):
        raise LadaError(
            f"{folder}: its tokenizer {name} needs its own code (auto_map), which is never run. "
            f"{SAVE_FAST}"
        )
    spec = None
    if (folder / "tokenizer.json").exists():
        spec = _json(folder / "tokenizer.json", TOKENIZER_BYTES)
    elif not (folder / "vocab.txt").exists() or name not in BERT:
        # Without its files transformers silently makes an empty tokenizer.
        needed = "tokenizer.json or vocab.txt" if name in BERT else "tokenizer.json"
        raise LadaError(f"{folder}: has no {needed} for its {name or 'tokenizer'}. {SAVE_FAST}")
    before = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()
    try:
        tokenizer = _made(folder, name, spec, declared)
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise LadaError(
                f"{folder}: {name} is a slow tokenizer, which is not supported. {SAVE_FAST}"
            )
        # A file may have the truncation and padding of an earlier call; calls here give their own.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        _check(folder, tokenizer, name)
    except LadaError:
        raise
    except BaseException as error:  # a file that is not a tokenizer's may raise anything
        # A panic of the Rust code is not an Exception, but not an interrupt either.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split())[:160]
        raise LadaError(
            f"{folder}: its tokenizer {name or 'BertTokenizer'} cannot be loaded "
            f"({reason}). {SAVE_FAST}"
        ) from None
    finally:
        hf_logging.set_verbosity(before)
    return tokenizer


def _made(folder: Path, name: str | None, spec: Any, declared: Mapping[str, Any]) -> Any:
    if name in BERT and (spec is None or _is_bert(spec)):
        return BertTokenizer.from_pretrained(folder, local_files_only=True)
    if name in BERT or name in GENERIC:
        types: dict[str, Any] = {}
        # Before transformers 5 the generic class also returned token types, as BERT's own does.
        if name != "TokenizersBackend" and "model_input_names" not in declared:
            types = {"model_input_names": WITH_TYPES}
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True, **types)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _is_bert(spec: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json is what BertTokenizer builds from its vocabulary."""

    def part(name: str) -> Mapping[str, Any]:
        found = spec.get(name)
        return found if isinstance(found, dict) else {}

    model = part("model")
    # Files of old versions do not name their kind of model.
    return (
        model.get("type", "WordPiece") == "WordPiece"
        and isinstance(model.get("vocab"), dict)
        and model.get("continuing_subword_prefix") == "##"
        and part("normalizer").get("type") == "BertNormalizer"
        and part("pre_tokenizer").get("type") == "BertPreTokenizer"
    )


def _check(folder: Path, tokenizer: PreTrainedTokenizerFast, name: str | None) -> None:
    if tokenizer.pad_token_id is None:
        raise LadaError(
            f"{folder}: its tokenizer has no padding token. Set pad_token in tokenizer_config.json."
        )
    ours = [tokenizer.backend_tokenizer.encode(*probe) for probe in PROBES]
    if not all(sum(found.special_tokens_mask[:1]) for found in ours):
        raise LadaError(
            f"{folder}: its tokenizer puts no special token ([CLS]) before a text, which an "
            "encoder needs. Give its tokenizer.json a post_processor."
        )
    if name in BERT or name in GENERIC:
        return
    # Other classes build some of their parts themselves, and ignore those of the file.
    plain = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    plain.backend_tokenizer.no_truncation()
    plain.backend_tokenizer.no_padding()
    for probe, found in zip(PROBES, ours, strict=True):
        file = plain.backend_tokenizer.encode(*probe)
        if (found.ids, found.type_ids) != (file.ids, file.type_ids):
            raise LadaError(
                f"{folder}: {name} (tokenizer_class in tokenizer_config.json) gives other tokens "
                "than tokenizer.json. Set it to PreTrainedTokenizerFast if the file is right."
            )


def _check_files(folder: Path) -> None:
    """Check that all files that transformers may read are regular and of bounded size."""
    for file in folder.iterdir():
        if file.suffix in (".json", ".txt", ".jinja", ".model") and file.exists():
            check_regular(file, TOKENIZER_BYTES)


def _json(file: Path, limit: int) -> Mapping[str, Any]:
    if not file.exists():
        return {}
    try:
        found = read_json(file, limit)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise LadaError(f"{file}: is not a readable JSON object. Copy it again.")
    return found
