"""Exports of an artifact that run without lada, each checked against the artifact's outputs."""

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel

from lada.artifact import onnx, openvino
from lada.artifact.classifier import Classifier
from lada.artifact.engine import Batch, Run, torch_runner
from lada.artifact.forms import FORMS, FORMS_OF, parts_of
from lada.artifact.newfolder import new_folder
from lada.artifact.sentences import write_sentence_files
from lada.errors import LadaError
from lada.heads.base import Head
from lada.nn.autos import auto_of, plain_class, without_pooler
from lada.nn.compressed import compressed_layers
from lada.nn.families import family_of
from lada.nn.guarded import check_guarded
from lada.nn.slim import slim_

CLOSE = 1e-3
"""An fp32 export whose outputs differ by more is rejected."""

CHECKED = 1000
"""Most examples on which an export is checked."""

M = TypeVar("M", bound=PreTrainedModel)
Examples = Sequence[tuple[str, str | None]]
"""Texts, each with its pair or None."""

PLAIN: Examples = (
    ("It was the best of times, it was the worst of times.", None),
    ("Nobody expected that.", None),
    ("The train to the coast leaves at seven, and it is late every other day.", None),
    ("no", None),
)
"""Examples for the check if none are given."""


@dataclass(frozen=True)
class Exported:
    """The result of an export: bytes of the model's files, and the check against the artifact.

    Attributes:
        examples: how many were checked.
        difference: the largest difference of any output, such as a logit.
        changed: how many of the examples get another answer; None where answers are numbers.
        removed: empty rank components and feed-forward units that were removed.
    """

    folder: Path
    stored_bytes: int
    examples: int
    difference: float
    changed: int | None
    removed: dict[str, int]


def export(
    classifier: Classifier, to: str, out: Path, *, int8: bool = False, examples: Examples = ()
) -> Exported:
    """Write ``classifier`` to a new folder as ``to``: "dense", "onnx" or "openvino".

    Args:
        int8: weights and activations as int8, with static ranges measured on ``examples``.
        examples: real texts of the task (and pairs), for int8 and for the check.

    Raises:
        LadaError: the form is unknown or has no int8, a package or examples are missing, the folder
            exists, or the export's outputs differ from the artifact's.
    """
    _check(to, int8, examples)
    check_guarded(classifier.model)
    check_form(classifier.model, to)
    with new_folder(out) as temporary:
        batches = make_batches(classifier, examples[:CHECKED] or PLAIN)
        expected = list(map(torch_runner(classifier.model), batches))
        removed, run = write_form(classifier.model, to, temporary, int8=int8, batches=batches)
        difference, changed = _compare(classifier.head, batches, expected, list(map(run, batches)))
        if not math.isfinite(difference) or (difference > CLOSE and not int8):
            raise LadaError(
                f"{out}: the export's outputs differ by {difference:.2g} from the artifact's, more "
                f"than {CLOSE:g}. Export to another form."
            )
        size = sum(f.stat().st_size for f in temporary.iterdir() if f.suffix in WEIGHTS)
        if to == "dense":
            write_sentence_files(temporary, classifier.about, classifier.model.config)
        classifier.tokenizer.save_pretrained(temporary)
    count = sum(map(len, expected))
    return Exported(out, size, count, difference, changed, removed)


WEIGHTS = (".safetensors", ".onnx", ".xml", ".bin")  # .bin: the weights for OpenVINO's .xml


def _check(to: str, int8: bool, examples: Examples) -> None:
    if to not in FORMS:
        raise LadaError(f"--to {to}: there is no such form. Choose one of {', '.join(FORMS)}.")
    if int8 and to == "dense":
        raise LadaError(
            "--to dense: it is a plain fp32 checkpoint and has no --int8. Use --to onnx."
        )
    if int8 and not examples:
        raise LadaError("--int8: it needs real sentences for its ranges. Give --sentences FILE.")
    lacking = [name for name in FORMS[to] if importlib.util.find_spec(name) is None]
    if lacking:
        raise LadaError(
            f"--to {to}: {lacking[0]} is not installed. Run pip install 'ladabert[{to}]'."
        )


def forms_of(model: PreTrainedModel) -> tuple[str, ...]:
    """The forms to which a model can be exported."""
    return FORMS_OF.get(parts_of(model.config.model_type)[1], tuple(FORMS))


def check_form(model: PreTrainedModel, to: str) -> None:
    """Raise LadaError if a model has no such form."""
    forms = forms_of(model)
    if to not in forms:
        advice = f"Use {' or '.join(forms)}" if forms else "It runs only in torch"
        raise LadaError(f"--to {to}: a {model.config.model_type} has no such form. {advice}.")


def compare(
    before: Classifier, after: Classifier, batches: list[Batch]
) -> tuple[int, float, int | None]:
    """The number of examples, the largest difference of any output, and changed answers."""
    found = [list(map(torch_runner(one.model), batches)) for one in (before, after)]
    return (sum(map(len, found[0])), *_compare(before.head, batches, *found))


def make_batches(classifier: Classifier, examples: Examples, size: int = 8) -> list[Batch]:
    """Tokens of examples, in batches padded to their own longest."""
    return [
        dict(classifier.tokens([t for t, _ in part], _pairs(part)))
        for part in (examples[i : i + size] for i in range(0, len(examples), size))
    ]


def _pairs(examples: Examples) -> list[str] | None:
    pairs = [pair for _, pair in examples if pair is not None]
    if pairs and len(pairs) < len(examples):
        raise LadaError(
            "--sentences: some examples have a pair and some have none. Give pairs for all or for "
            "none."
        )
    return pairs or None


def write_form(
    model: PreTrainedModel,
    to: str,
    folder: Path,
    *,
    int8: bool,
    batches: list[Batch],
) -> tuple[dict[str, int], Run]:
    """Write a model's files into a folder; returns what was removed, and a function to run it."""
    if to == "dense":
        dense = dense_model(model)
        dense.save_pretrained(folder)
        read = type(dense).from_pretrained(folder, **without_pooler(type(dense)))
        return {}, torch_runner(read.eval())
    copy = plain_model(model)
    removed = slim_(copy)
    _plain(model)[1].save_pretrained(folder)
    if to == "onnx":
        file = onnx.write(copy, folder, int8=int8, batches=batches)
        return removed, onnx.runner(file, threads=0)
    file = openvino.write(copy, folder, int8=int8, batches=batches)
    return removed, openvino.runner(file, "f32", threads=0)


def _plain(model: PreTrainedModel) -> tuple[type[PreTrainedModel], PreTrainedConfig]:
    """Transformers' own class and config: labels and sizes, as other projects expect them."""
    family = family_of(model.config).model_type
    kind = plain_class(family, auto_of(model))
    config = model.config.to_dict()
    for key in ("lada", "family", "model_type", "architectures", "_name_or_path", "dtype"):
        config.pop(key, None)
    made = CONFIG_MAPPING[family].from_dict(config | {"architectures": [kind.__name__]})
    return kind, made


def plain_model(model: M) -> M:
    """A copy that may be changed: the compressed layers as they are, at the active rank."""
    copy = type(model)(model.config, **without_pooler(type(model)))
    copy.eval()
    copy.load_state_dict(model.state_dict())
    return copy


def dense_model(model: PreTrainedModel) -> PreTrainedModel:
    """A plain model that computes the same function: all products multiplied out."""
    state = model.state_dict()
    for name, layer in compressed_layers(model).items():
        for part in layer.state_dict():
            if part != "bias":
                del state[f"{name}.{part}"]
        state[f"{name}.weight"] = layer.product()
    kind, config = _plain(model)
    dense = kind(config, **without_pooler(kind))
    dense.eval()
    dense.load_state_dict(state, strict=True)
    return dense


def _compare(
    head: Head, batches: list[Batch], expected: list[Tensor], found: list[Tensor]
) -> tuple[float, int | None]:
    """The largest difference of any output, and how many examples get another answer.

    Outputs at padding are not compared: they mean nothing, and engines compute them differently.
    """
    largest, changed = [], 0
    for batch, a, b in zip(batches, expected, found, strict=True):
        real = batch["attention_mask"].bool()
        largest.append((a - b)[real].abs().max() if a.dim() == 3 else (a - b).abs().max())
        before, after = head.decided(a, real), head.decided(b, real)
        if before is not None and after is not None:
            changed += int((before != after).reshape(len(a), -1).any(1).sum())
    # Unlike Python's max, this one propagates NaN.
    return float(torch.stack(largest).max()), changed if head.decides else None
