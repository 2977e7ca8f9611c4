"""The valid values of each field of an artifact's config.json.

Transformers checks some types of some fields; other invalid values would lead to a TypeError, an
IndexError or a wrong answer at the first text. Sizes are bounded by the tensors, which are compared
later.
"""

import math
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from lada.artifact.codec import VALUES
from lada.artifact.forms import parts_of
from lada.errors import LadaError
from lada.heads.kinds import KINDS as KINDS_OF_TASKS
from lada.nn.families import FAMILIES
from lada.nn.kinds import KINDS, RANKED
from lada.nn.sentences import ACTIVATIONS, POOLINGS

Rule = tuple[Callable[[Any], bool], str]
"""Whether a value is valid, and a description of valid ones."""

MOST_LAYERS, MOST_POSITIONS = 1024, 2**20

LARGEST = 2**31 - 1
"""Largest size: no tensor has more."""


def _text(value: Any) -> bool:
    """Lone surrogates, which JSON can hold, cannot be printed."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _whole(low: int, high: int = LARGEST) -> Rule:
    words = f"a whole number from {low}" + (f" to {high}" if high < LARGEST else "")
    return lambda v: type(v) is int and low <= v <= high, words


def _number(low: float, high: float = math.inf) -> Rule:
    def fits(value: Any) -> bool:
        return type(value) in (int, float) and low <= value <= high and abs(value) < 1e300

    return fits, f"a number from {low:g}" + (f" to {high:g}" if math.isfinite(high) else "")


def _or_null(rule: Rule) -> Rule:
    return lambda v: v is None or rule[0](v), f"{rule[1]}, or null"


def _token_ids(value: Any) -> bool:
    ids = value if isinstance(value, list) else [value]
    return all(_whole(0)[0](i) for i in ids)


LAYER_TYPES = ("full_attention", "sliding_attention")


def _layer_types(value: Any) -> bool:
    return isinstance(value, list) and all(v in LAYER_TYPES for v in value)


def _rotary(value: Any) -> bool:
    """Only a base: other types compute with fields of their own."""
    return isinstance(value, dict) and all(
        kind in LAYER_TYPES
        and isinstance(found, dict)
        and found.keys() <= {"rope_type", "rope_theta"}
        and found.get("rope_type", "default") == "default"
        and _number(1.0)[0](found.get("rope_theta", 10000.0))
        for kind, found in value.items()
    )


def _terms(value: Any) -> bool:
    return isinstance(value, list) and all(v in ("c2p", "p2c") for v in value)


PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")

BOOLEAN: Rule = (lambda v: type(v) is bool, "true or false")
TEXT: Rule = (_text, "a text")

FIELDS: dict[str, Rule] = {
    "model_type": TEXT,
    "_name_or_path": TEXT,
    "name_or_path": TEXT,
    "architectures": _or_null(
        (lambda v: isinstance(v, list) and all(map(_text, v)), "a list of names")
    ),
    "transformers_version": _or_null(TEXT),
    "dtype": _or_null(TEXT),
    "torch_dtype": _or_null(TEXT),
    # Embeddings and layers.
    "vocab_size": _whole(1),
    "hidden_size": _whole(1),
    "num_hidden_layers": _whole(1),
    "num_attention_heads": _whole(1),
    "intermediate_size": _whole(1),
    "max_position_embeddings": _whole(2),
    "type_vocab_size": _whole(0),
    "hidden_act": TEXT,
    "layer_norm_eps": _number(0.0, 1.0),
    "initializer_range": _number(0.0),
    "hidden_dropout_prob": _number(0.0, 1.0),
    "attention_probs_dropout_prob": _number(0.0, 1.0),
    "classifier_dropout": _or_null(_number(0.0, 1.0)),
    # Chunk sizes over 1 divide only some lengths.
    "chunk_size_feed_forward": _whole(0, 1),
    "is_decoder": BOOLEAN,
    "add_cross_attention": BOOLEAN,
    "is_encoder_decoder": BOOLEAN,
    "tie_word_embeddings": BOOLEAN,
    "use_cache": BOOLEAN,
    "output_attentions": _or_null(BOOLEAN),
    "output_hidden_states": _or_null(BOOLEAN),
    "return_dict": (lambda v: v is True, "true"),
    # Tokens and classes.
    "pad_token_id": _or_null(_whole(0)),
    "bos_token_id": _or_null(_whole(0)),
    "eos_token_id": _or_null((_token_ids, "a whole number from 0, or a list of them")),
    "problem_type": _or_null(
        (lambda v: isinstance(v, str) and v in PROBLEMS, f"one of {', '.join(PROBLEMS)}")
    ),
    # Of other families.
    "embedding_size": _whole(1),
    "dim": _whole(1),
    "n_layers": _whole(1),
    "n_heads": _whole(1),
    "hidden_dim": _whole(1),
    "sinusoidal_pos_embds": BOOLEAN,
    "dropout": _number(0.0, 1.0),
    "attention_dropout": _number(0.0, 1.0),
    "qa_dropout": _number(0.0, 1.0),
    "seq_classif_dropout": _number(0.0, 1.0),
    "activation": TEXT,
    "summary_type": TEXT,
    "summary_use_proj": BOOLEAN,
    "summary_activation": _or_null(TEXT),
    "summary_last_dropout": _number(0.0, 1.0),
    "task_type_vocab_size": _whole(1),
    "use_task_id": BOOLEAN,
    "hidden_activation": TEXT,
    "initializer_cutoff_factor": _number(0.0),
    "norm_eps": _number(0.0, 1.0),
    "norm_bias": BOOLEAN,
    "cls_token_id": _or_null(_whole(0)),
    "sep_token_id": _or_null(_whole(0)),
    "attention_bias": BOOLEAN,
    "layer_types": _or_null((_layer_types, f"a list of {' and '.join(LAYER_TYPES)}")),
    "rope_parameters": _or_null((_rotary, "the default rotary embeddings of each type of layer")),
    "local_attention": _whole(2),
    "embedding_dropout": _number(0.0, 1.0),
    "mlp_bias": BOOLEAN,
    "mlp_dropout": _number(0.0, 1.0),
    "decoder_bias": BOOLEAN,
    "classifier_pooling": (lambda v: v in ("cls", "mean"), "cls or mean"),
    "classifier_bias": BOOLEAN,
    "classifier_activation": TEXT,
    "deterministic_flash_attn": BOOLEAN,
    "sparse_prediction": BOOLEAN,
    "sparse_pred_ignore_index": (lambda v: type(v) is int, "a whole number"),
    "relative_attention_num_buckets": _whole(2),
    "relative_attention": BOOLEAN,
    "max_relative_positions": _whole(-1),
    "position_buckets": _whole(-1),
    "position_biased_input": BOOLEAN,
    "pos_att_type": _or_null((_terms, "a list of c2p and p2c")),
    "norm_rel_ebd": TEXT,
    "share_att_key": BOOLEAN,
    "attention_head_size": _whole(1),
    "conv_kernel_size": _whole(0, 99),
    "conv_groups": _whole(1),
    "conv_act": TEXT,
    "cls_dropout": _or_null(_number(0.0, 1.0)),
    "pooler_dropout": _number(0.0, 1.0),
    "pooler_hidden_act": TEXT,
    "pooler_hidden_size": _whole(1),
    "legacy": BOOLEAN,
    # Layers that are made whether or not the file has tensors for them.
    "num_hidden_groups": _whole(1, 64),
    "inner_group_num": _whole(1, 64),
    "classifier_dropout_prob": _number(0.0, 1.0),
    # Of students that are not BERT.
    "adapter_size": _whole(1),
    "lstm_size": _whole(1),
    "dense_size": _whole(1),
    "pairs": BOOLEAN,
    "exit_threshold": _number(0.0, 1.0),
    # By which a CrossEncoder turns an output into a score; it calls what is named.
    "sentence_transformers": (
        lambda v: v in ({"activation_fn": name} for name in ACTIVATIONS),
        f"an activation_fn, {' or '.join(ACTIVATIONS)}",
    ),
}
"""Other fields are not read."""


def check_fields(stored: dict[str, Any]) -> None:
    """Reject a config.json with fields of wrong types or ranges.

    Args:
        stored: its JSON, with a dict under "lada".

    Raises:
        LadaError: with the field's name and value.
    """
    for name, (fits, words) in FIELDS.items():
        if name in stored and not fits(stored[name]):
            raise LadaError(f"{name} is {_shown(stored[name])}, but must be {words}")
    vocabulary, pad = stored.get("vocab_size"), stored.get("pad_token_id")
    if vocabulary is not None and pad is not None and pad >= vocabulary:
        raise LadaError(f"pad_token_id is {pad}, but must be below vocab_size, {vocabulary}")
    for inner, outer in (("num_attention_heads", "hidden_size"), ("n_heads", "dim")):
        heads, width = stored.get(inner), stored.get(outer)
        if heads and width and width % heads:
            raise LadaError(f"{inner} is {heads}, which must divide {outer}, {width}")
    family = FAMILIES.get(parts_of(str(stored.get("model_type")))[0])
    # DeBERTa alone may have no types although its model takes them.
    if stored.get("type_vocab_size") == 0 and (family is None or family.model_type != "deberta-v2"):
        raise LadaError("type_vocab_size is 0, but must be a whole number from 1")
    # No tensor of these two bounds them: one counts how often a layer is applied, the other makes a
    # buffer of its length.
    shared = family is not None and family.shared
    if shared and stored.get("num_hidden_layers", 1) > MOST_LAYERS:
        raise LadaError(f"num_hidden_layers is over {MOST_LAYERS}, which no model has")
    if stored.get("max_position_embeddings", 2) > MOST_POSITIONS:
        raise LadaError(f"max_position_embeddings is over {MOST_POSITIONS}, which no model has")
    _check_labels(stored)
    classes = len(stored.get("id2label", ("LABEL_0", "LABEL_1")))
    # RoBERTa counts positions from its padding id + 1.
    offset = max(family.offset, 1 + (pad or 0)) if family is not None and family.offset else 0
    positions = stored.get("max_position_embeddings", 512) - offset
    _check_ours(stored["lada"], positions, classes)


def _check_labels(stored: dict[str, Any]) -> None:
    names, ids = stored.get("id2label", {"0": "LABEL_0"}), stored.get("label2id")
    if not isinstance(names, dict) or not names:
        raise LadaError(f"id2label is {_shown(names)}, but must map numbers to names of classes")
    if sorted(names) != sorted(map(str, range(len(names)))):
        raise LadaError("id2label must number the classes from 0")
    for number, name in names.items():
        if not _text(name):
            raise LadaError(f"id2label has {_shown(name)} for {number}, but must have a text")
    if ids is not None:
        # It is not updated when a label is renamed; nothing here uses it to find a class.
        if not isinstance(ids, dict) or not all(map(_text, ids)):
            raise LadaError(f"label2id is {_shown(ids)}, but must map names of classes to numbers")
        for name, number in ids.items():
            if not _whole(0)[0](number):
                raise LadaError(
                    f"label2id has {_shown(number)} for {name}, but must have a whole number"
                )


def _check_kind(about: dict[str, Any], classes: int) -> None:
    """The kind of the task and what its answers need (`lada.heads.base.Head.about`)."""
    kind = about.get("kind", "single_label")
    if not isinstance(kind, str) or kind not in KINDS_OF_TASKS:
        raise LadaError(f"kind {_shown(kind)} is not one of {', '.join(KINDS_OF_TASKS)}")
    for name in ("binary", "ranks", "optional", "normalize", "sigmoid"):
        if not isinstance(about.get(name, False), bool):
            raise LadaError(f"{name} is {_shown(about[name])}, but must be true or false")
    if about.get("pooling", "mean") not in POOLINGS:
        raise LadaError(
            f"pooling is {_shown(about['pooling'])}, but must be one of {', '.join(POOLINGS)}"
        )
    limits = about.get("thresholds", [0.5] * classes)
    fits = _number(0.0, 1.0)[0]
    if not isinstance(limits, list) or len(limits) != classes or not all(map(fits, limits)):
        raise LadaError(
            f"thresholds is {_shown(limits)}, but must be a number from 0 to 1 for each label"
        )


def _check_ours(ours: dict[str, Any], positions: int, classes: int) -> None:
    check_layers(ours.get("layers", {}))
    if not isinstance(ours.get("values"), str) or ours["values"] not in VALUES:
        raise LadaError(f"values {_shown(ours.get('values'))} is not one of {', '.join(VALUES)}")
    about = ours.get("about")
    if not isinstance(about, dict):
        raise LadaError(f"'about' is {_shown(about)}, but must be an object")
    longest = about.get("max_length", 2)
    if type(longest) is not int or not 2 <= longest <= positions:
        raise LadaError(f"max_length {_shown(longest)} is outside 2..{positions}, the positions")
    if not isinstance(about.get("pairs", False), bool):
        raise LadaError(f"pairs is {_shown(about['pairs'])}, but must be true or false")
    _check_kind(about, classes)
    files = ours.get("files")
    if files is None and not ours["version"].startswith("2."):
        return
    if not isinstance(files, dict) or not all(
        _is_inside(name) and _is_digest(digest) for name, digest in files.items()
    ):
        raise LadaError("'files' must map names of files of the folder to their SHA-256")


def check_layers(layers: Any) -> dict[str, dict[str, Any]]:
    """The compressed layers in the part ``lada`` of a config.

    Raises:
        LadaError: one has an unknown kind, or lacks a setting of its kind.
    """
    if not isinstance(layers, dict):
        raise LadaError("'layers' must map names of modules to their kind")
    for name, form in layers.items():
        kind = form.get("kind") if isinstance(form, dict) else form
        if not isinstance(form, dict) or not isinstance(kind, str) or kind not in KINDS:
            raise LadaError(f"{name}: kind {_shown(kind)} is not one of {', '.join(KINDS)}")
        if kind in RANKED and type(form.get("rank")) is not int:
            raise LadaError(f"{name}: rank {_shown(form.get('rank'))} is not a whole number")
    return layers


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return _text(name) and bool(parts) and not {"/", ".."} & set(parts) and "\0" not in name


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
