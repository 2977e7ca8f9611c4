"""The model card: README.md of an artifact, written from the record of its run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lada.artifact.codec import FEW_BITS
from lada.artifact.hub import family_of, header, kind_of
from lada.report.majority import chance_corrected
from lada.report.table import shown_metrics

CARD = "README.md"

TEMPLATE = """\
---
{header}
---

# {model} on {task}, x{reached:.2f} smaller

Compressed by `{method}`{start} from a {teacher} teacher; one seed ({seed}). The scores were
measured from this file, on examples that were not used for any choice.

{warnings}| | teacher | this model |
|---|---|---|
{rows}

{notes}Times: {cpu}, torch {torch}; `lada bench` measures them on your machine, in all engines.

## How to load it

```python
import lada  # registers the model class with transformers

{load}
```

{exports}

Made by `{command}`.
"""

LOAD = """\
model = lada.load("FOLDER")
model({example})"""
PIPELINE = """

from transformers import pipeline

pipeline("{pipeline}", model="FOLDER")"""
SENTENCES = """

from sentence_transformers import {loader}

{loader}("FOLDER")"""

EXPORTS = {
    "dense": "`lada export FOLDER --to dense --out DENSE` writes a plain `{family}` model that "
    "needs no lada, at full size.",
    "onnx": "`lada export FOLDER --to onnx --out OUT` writes it for ONNX Runtime, which needs no "
    "lada.",
}
"""Texts on the forms that a model can be exported to; the card has that of the first."""
NO_EXPORT = "It has no export: it runs in torch alone."


PAPERS = (("factorizer", "svd"), ("allocation", "uniform"), ("score", "magnitude"))
"""Parts of a method that are chosen apart, and what they are in the paper."""


def write_card(folder: Path, record: dict[str, Any], forms: Sequence[str]) -> None:
    """Write the card of the artifact in ``folder``.

    Args:
        record: of its run, as in ``results.json``.
        forms: to which it can be exported (`lada.artifact.export.forms_of`).

    Raises:
        OSError: the folder cannot be written.
    """
    (folder / CARD).write_text(card(record, forms), encoding="utf-8")


def card(record: dict[str, Any], forms: Sequence[str]) -> str:
    """The card's text: a YAML header for the hub, then scores, sizes, times and how to load."""
    exports = [text for form, text in EXPORTS.items() if form in forms]
    config, machine, family = record["config"], record["machine"], family_of(record)
    return TEMPLATE.format(
        header=header(record),
        method=config["method"]["name"],
        teacher="fine-tuned" if kind_of(record).labelled else "pretrained",
        start=f" (a student {record['start']})" if record["start"] else "",
        load=_load(record),
        task=config["task"]["name"],
        model=config["model"]["name"],
        reached=record["reached"],
        seed=record["seed"],
        warnings="".join(f"> **Warning.** {line}\n\n" for line in record.get("warnings", ())),
        rows="\n".join(f"| {' | '.join(row)} |" for row in _rows(record)),
        notes=_length(record) + _parts(record) + _left_out(record) + _vectors(record),
        cpu=machine["cpu"],
        torch=machine["versions"]["torch"],
        exports=exports[0].format(family=family) if exports else NO_EXPORT,
        command=record["command"],
    )


def _load(record: dict[str, Any]) -> str:
    """Lines of Python that load the model and use it."""
    kind = kind_of(record)
    lines = LOAD.format(example='"a text", "its pair"' if record["pairs"] else '"a text"')
    if kind.pipeline:
        lines += PIPELINE.format(pipeline=kind.pipeline)
    # A CrossEncoder takes pairs alone.
    if kind.sentences and (record["pairs"] or kind.sentences != "CrossEncoder"):
        lines += SENTENCES.format(loader=kind.sentences)
    return lines


def _rows(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    teacher, artifact, speed = record["teacher"], record["artifact"], record["speed"]
    rows = []
    for split, theirs in teacher["scores"].items():
        ours = artifact["scores"][split]
        metrics = shown_metrics(record, ours)
        for metric in metrics:
            name, unit = metric.name, ", %" if metric.percent else ""
            before, after = metric.shown(theirs[name]), metric.shown(ours[name])
            what = f"{split} {metric.title}{unit}"
            if f"{name}_95" in ours:
                what += f" ({ours['rows']:,} examples; 95 % interval)"
                after += f" ({metric.interval(ours[f'{name}_95'])})"
            rows.append((what, before, after))
        for title, (before, after), _ in chance_corrected((theirs, ours), metrics):
            rows.append((f"{split} {title}", before, after))
    for key, name in (
        ("nonzeros", "nonzero parameters"),
        ("stored_bytes", "model.safetensors, bytes"),
    ):
        dense, small = teacher[key], artifact[key]
        rows.append((name, f"{dense:,}", f"{small:,} (x{dense / small:.2f})"))
    faster = speed["teacher"] / speed["artifact"]
    name = f"one example of {speed['length']} tokens, torch, {speed['threads']} threads, ms"
    rows.append((name, f"{speed['teacher']:.1f}", f"{speed['artifact']:.1f} (x{faster:.2f})"))
    return rows


def _vectors(record: dict[str, Any]) -> str:
    """How vectors are made of the states of tokens; empty for other kinds."""
    found = record.get("vectors")
    if found is None:
        return ""
    length = "of length 1" if found["normalize"] else "not normalized"
    return f"Vectors: pooling {found['pooling']}, {length}.\n"


def _length(record: dict[str, Any]) -> str:
    """The length of the training; empty for an untrained model or a record without epochs."""
    if not record.get("epochs"):
        return ""
    examples, more = record["data"]["train"]["rows"], record["data"].get("unlabeled")
    said = f"{examples:,} examples"
    if more is not None:
        said += f" and {more['rows']:,} texts without labels from `{more['file']}`"
    if copies := record["data"].get("augmented"):
        said += f" and {copies['rows']:,} copies of them with changed words"
    line = f"Trained for {record['steps']:,} steps ({record['epochs']:.3g} epochs of {said}).\n"
    if given := record["data"].get("probabilities"):
        line += (
            f"For {given['rows']:,} examples another model's predictions were given; they have "
            f"{100 * given['weight']:g} % of the weight of the teacher's and theirs together.\n"
        )
    return line


def _parts(record: dict[str, Any]) -> str:
    """How it is compressed, as far as that is not the paper's; empty where it is."""
    config = record["config"]
    # The first records have no group for the artifact.
    method, values = config["method"], config.get("artifact", {}).get("values")
    chosen = [f"`{key}={method[key]}`" for key, plain in PAPERS if method.get(key, plain) != plain]
    listed = " and ".join(part for part in (", ".join(chosen[:-1]), *chosen[-1:]) if part)
    out = f"Compressed with {listed}.\n" if chosen else ""
    if values in FEW_BITS:
        out += f"Its compressed matrices were trained in `{values}`, and are stored so.\n"
    trimmed = record.get("trimmed", {})
    if trimmed.get("positions"):
        out += f"Its position embeddings are cut to {trimmed['positions']} tokens.\n"
    if trimmed.get("pooler"):
        out += "Its pooler is compressed as the matrices of the encoder are.\n"
    if vocabulary := record.get("vocabulary"):
        out += (
            f"Its vocabulary has {vocabulary['kept']:,} of {vocabulary['of']:,} tokens: those of "
            "the training texts, and what reads other words by smaller pieces "
            f"({100 * vocabulary['dev_unseen']:.1f} % of the tokens of dev).\n"
        )
    return out


def _left_out(record: dict[str, Any]) -> str:
    """The terms that the loss did not have, a sentence each."""
    return "".join(f"The loss left out {term}.\n" for term in record.get("left_out", ()))
