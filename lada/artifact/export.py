"""An artifact in forms that others can run, each checked against the artifact's own logits."""

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel

from lada.artifact import onnx, openvino
from lada.artifact.classifier import Classifier
from lada.artifact.engine import Batch, Run, torch_runner
from lada.artifact.forms import FORMS, FORMS_OF
from lada.artifact.newfolder import new_folder
from lada.errors import LadaError
from lada.nn.compressed import compressed_layers
from lada.nn.guarded import check_guarded
from lada.nn.slim import slim_

CLOSE = 1e-3
"""Logits of an fp32 export differ by less, or it is refused."""

CHECKED = 1000
"""Rows at most that an export is checked on."""

M = TypeVar("M", bound=PreTrainedModel)
Rows = Sequence[tuple[str, str | None]]

PLAIN: Rows = (
    ("It was the best of times, it was the worst of times.", None),
    ("Nobody expected that.", None),
    ("The train to the coast leaves at seven, and it is late every other day.", None),
    ("no", None),
)
"""Rows for the check where none are given."""


@dataclass(frozen=True)
class Exported:
    """What came out: bytes of the model's files, and the check against the artifact.

    Attributes:
        difference: the largest of any logit.
        changed: rows of ``rows`` that get another label.
        removed: empty rank directions and feed-forward units that were left out.
    """

    folder: Path
    stored_bytes: int
    rows: int
    difference: float
    changed: int
    removed: dict[str, int]


def export(
    classifier: Classifier, to: str, out: Path, *, int8: bool = False, rows: Rows = ()
) -> Exported:
    """Write ``classifier`` to a new folder as ``to``: "dense", "onnx" or "openvino".

    Args:
        int8: weights and activations as int8, by ranges seen on ``rows`` (static).
        rows: real texts of the task (and pairs), for int8 and for the check.

    Raises:
        LadaError: the form is unknown or has no int8, a package or rows are missing, the folder
            exists, or the export's logits are not the artifact's.
    """
    _check(to, int8, rows)
    check_guarded(classifier.model)
    check_form(classifier.model, to)
    with new_folder(out) as temporary:
        batches = make_batches(classifier, rows[:CHECKED] or PLAIN)
        with torch.no_grad():
            expected = [classifier.model(**batch).logits for batch in batches]
        removed, run = write_form(classifier.model, to, temporary, int8=int8, batches=batches)
        difference, changed = _compare(expected, [run(batch) for batch in batches])
        if not math.isfinite(difference) or (difference > CLOSE and not int8):
            raise LadaError(f"{out}: logits differ by {difference:.2g} from the artifact's")
        size = sum(f.stat().st_size for f in temporary.iterdir() if f.suffix in WEIGHTS)
        classifier.tokenizer.save_pretrained(temporary)
    count = sum(len(logits) for logits in expected)
    return Exported(out, size, count, difference, changed, removed)


WEIGHTS = (".safetensors", ".onnx", ".xml", ".bin")  # .bin: raw numbers beside OpenVINO's .xml


def _check(to: str, int8: bool, rows: Rows) -> None:
    if to not in FORMS:
        raise LadaError(f"--to {to}: choose one of {', '.join(FORMS)}")
    if int8 and to == "dense":
        raise LadaError("--to dense is a plain fp32 checkpoint and has no --int8; use onnx")
    if int8 and not rows:
        raise LadaError("--int8 needs real sentences for its ranges; give --sentences FILE")
    lacking = [name for name in FORMS[to] if importlib.util.find_spec(name) is None]
    if lacking:
        mend = f"run: pip install 'ladabert[{to}]'"
        raise LadaError(f"--to {to}: {lacking[0]} is not installed; {mend}")


def forms_of(model: PreTrainedModel) -> tuple[str, ...]:
    """What a model can be exported to."""
    return FORMS_OF.get(model.config.model_type, tuple(FORMS))


def check_form(model: PreTrainedModel, to: str) -> None:
    """Raises LadaError where a model has no such form."""
    forms = forms_of(model)
    if to not in forms:
        would = f"it has {' and '.join(forms)}" if forms else "it runs in torch alone"
        raise LadaError(f"--to {to}: a {model.config.model_type} has no such form; {would}")


def compare(
    before: PreTrainedModel, after: PreTrainedModel, batches: list[Batch]
) -> tuple[int, float, int]:
    """Rows, the largest difference of any logit, and rows that get another label."""
    with torch.no_grad():
        found = [[model(**batch).logits for batch in batches] for model in (before, after)]
    return (sum(map(len, found[0])), *_compare(*found))


def make_batches(classifier: Classifier, rows: Rows, size: int = 8) -> list[Batch]:
    """Tokens of rows, in batches padded to their own longest."""
    return [
        dict(classifier.tokens([t for t, _ in part], _pairs(part)))
        for part in (rows[i : i + size] for i in range(0, len(rows), size))
    ]


def _pairs(rows: Rows) -> list[str] | None:
    pairs = [pair for _, pair in rows if pair is not None]
    if pairs and len(pairs) < len(rows):
        raise LadaError("some rows have a pair and some have none; give pairs for all or for none")
    return pairs or None


def write_form(
    model: PreTrainedModel,
    to: str,
    folder: Path,
    *,
    int8: bool,
    batches: list[Batch],
) -> tuple[dict[str, int], Run]:
    """Write a model's files into a folder; gives what was removed, and a function to run it."""
    if to == "dense":
        dense_model(model).save_pretrained(folder)
        return {}, torch_runner(BertForSequenceClassification.from_pretrained(folder).eval())
    copy = plain_model(model)
    removed = slim_(copy)
    _bert_config(model).save_pretrained(folder)
    if to == "onnx":
        file = onnx.write(copy, folder, int8=int8, batches=batches)
        return removed, onnx.runner(file, threads=0)
    file = openvino.write(copy, folder, int8=int8, batches=batches)
    return removed, openvino.runner(file, "f32", threads=0)


def _bert_config(model: PreTrainedModel) -> BertConfig:
    """The plain BERT config: labels and sizes, as loaders of other projects expect them."""
    config = model.config.to_dict()
    for key in ("lada", "model_type", "architectures", "_name_or_path", "dtype"):
        config.pop(key, None)
    return BertConfig.from_dict(config | {"architectures": ["BertForSequenceClassification"]})


def plain_model(model: M) -> M:
    """A copy to be changed: the compressed layers as they are, of the active rank."""
    copy = type(model)(model.config)
    copy.eval()
    copy.load_state_dict(model.state_dict())
    return copy


def dense_model(model: PreTrainedModel) -> BertForSequenceClassification:
    """A plain BERT of the same function: every product multiplied out."""
    state = model.state_dict()
    for name, layer in compressed_layers(model).items():
        for part in layer.state_dict():
            if part != "bias":
                del state[f"{name}.{part}"]
        state[f"{name}.weight"] = layer.product()
    dense = BertForSequenceClassification(_bert_config(model))
    dense.eval()
    dense.load_state_dict(state, strict=True)
    return dense


def _compare(expected: list[Tensor], found: list[Tensor]) -> tuple[float, int]:
    pairs = list(zip(expected, found, strict=True))
    # Unlike Python's max, this one gives NaN where there is one.
    difference = float(torch.stack([(a - b).abs().max() for a, b in pairs]).max())
    return difference, sum(int((a.argmax(-1) != b.argmax(-1)).sum()) for a, b in pairs)
