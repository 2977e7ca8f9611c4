"""What is checked of one pair: a family with a kind of task, or with a method."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FORMS = ("dense", "onnx", "openvino")
CLOSE = 1e-4
"""The largest difference of an output that is accepted, such as a logit."""
TARGETS = {"target": 2.0, "form": None, "own": None}
"""By what sets the size of a method."""


def of_kind(family: str, kind: str) -> dict[str, Any]:
    """What became of a family with a kind: the largest difference of each form, or the error."""
    sys.path.insert(0, str(ROOT / "tests"))
    from pairs import check_answers, check_sizes, check_stored, make_pair, rows_of

    with tempfile.TemporaryDirectory() as work:
        try:
            pair = make_pair(family, kind, Path(work) / "artifact")
            check_sizes(pair)
            check_stored(pair)
            check_answers(pair)
        except Exception as error:  # any failure is a result here
            return {"artifact": _said(error)}
        return _exported(pair.folder, FORMS, rows_of(kind), Path(work))


def of_method(family: str, method: str) -> dict[str, Any]:
    """The same of a family with a method: a whole run, teacher included, and its ONNX export."""
    sys.path.insert(0, str(ROOT / "tests"))
    from families import SETTINGS, tiny
    from family_texts import rows
    from vocabularies import MAKERS

    import lada
    from lada.artifact.export import forms_of
    from lada.config import PathsConfig, TeacherConfig, TrainerConfig
    from lada.methods import find_method

    with tempfile.TemporaryDirectory() as work:
        tokenizer, folder = MAKERS[family][1](), Path(work)
        sizes = {"vocab_size": len(tokenizer) + 5, "num_hidden_layers": 4}
        model = tiny(family, pad_token_id=tokenizer.pad_token_id, **sizes)
        settings = find_method(method)
        try:
            result = lada.compress(
                model,
                rows("train"),
                rows("dev"),
                tokenizer=tokenizer,
                fine_tune=True,
                method=settings(**SETTINGS.get(method, {})),
                target=TARGETS[settings.size],
                steps=None if method == "quantization" else 24,
                max_length=32,
                progress="none",
                teacher=TeacherConfig(steps=80, lr=3e-3, margin=0),
                trainer=TrainerConfig(threads=1, precision="fp32"),
                paths=PathsConfig(
                    outputs=str(folder / "outputs"),
                    teachers=str(folder / "teachers"),
                    cache=str(folder / "cache"),
                ),
            )
            target = TARGETS[settings.size]
            if target is not None and abs(result.ratio / target - 1) > 0.02:
                return {"artifact": f"x{result.ratio:.3g} instead of x{target:g}"}
        except Exception as error:
            return {"artifact": _said(error)}
        texts: list[tuple[str, str | None]] = [(row["text"], None) for row in rows("dev")[:8]]
        # Some students run in torch alone.
        forms = [form for form in ("onnx",) if form in forms_of(lada.load(result.artifact).model)]
        return {"artifact": 0.0, **_exported(result.artifact, forms, texts, folder)}


def _exported(
    artifact: Path, forms: Sequence[str], texts: list[tuple[str, str | None]], work: Path
) -> dict[str, Any]:
    import lada
    from lada.artifact.export import export

    found: dict[str, Any] = {}
    for form in forms:
        try:
            made = export(lada.load(artifact), form, work / form, examples=texts)
            found[form] = made.difference
            if made.difference > CLOSE or made.changed:
                found[form] = f"differs by {made.difference:.2g}, {made.changed} answers"
        except Exception as error:
            found[form] = _said(error)
    return found


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
