"""Artifacts of other kinds than one label per example: versions, exports, comparisons."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pairs import TEXTS, Pair, make_pair, rows_of
from transformers import BertForTokenClassification

import lada
from lada.artifact.dense import load_dense
from lada.artifact.engine import joined, names_of, outputs_of
from lada.artifact.export import compare, export, make_batches
from lada.bench import Settings, bench
from lada.heads import head_named
from lada.heads.kinds import KINDS

EXAMPLES = rows_of("tokens")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("artifacts")
    return {kind: make_pair("bert", kind, folder / kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_version(pairs: dict[str, Pair], kind: str, tmp_path: Path) -> None:
    """A reader of 2.x would answer texts of several labels, or of a number, by one label."""
    expected = {"single_label": "2.0", "multi_label": "3.0", "regression": "3.0"}.get(kind, "2.1")
    folder = pairs[kind].folder
    assert json.loads((folder / "config.json").read_text())["lada"]["version"] == expected
    loaded = lada.load(folder)
    loaded.model.save_pretrained(tmp_path)  # without a tokenizer, and so without digests
    alone = json.loads((tmp_path / "config.json").read_text())["lada"]
    assert "files" not in alone
    assert alone["version"] == {"2.0": "1.0", "2.1": "1.3"}.get(expected, expected)
    loaded.tokenizer.save_pretrained(tmp_path)
    batch = make_batches(loaded, rows_of(kind))[0]
    with torch.no_grad():
        again = outputs_of(lada.load(tmp_path).model(**batch))
        assert torch.equal(again, outputs_of(loaded.model(**batch)))


@pytest.mark.parametrize("kind", KINDS)
def test_dense(pairs: dict[str, Pair], kind: str, tmp_path: Path) -> None:
    made = export(lada.load(pairs[kind].folder), "dense", tmp_path / "out", examples=rows_of(kind))
    assert made.examples == len(TEXTS)
    assert made.difference < 1e-4
    assert made.changed == (0 if head_named(kind).decides else None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "to"),
    [
        *((kind, "onnx") for kind in KINDS),
        # One of each shape of outputs: a row, a row a token, two rows a token, a vector.
        *((kind, "openvino") for kind in ("single_label", "tokens", "spans", "embedding")),
    ],
)
def test_engines(pairs: dict[str, Pair], kind: str, to: str, tmp_path: Path) -> None:
    made = export(lada.load(pairs[kind].folder), to, tmp_path / "out", examples=rows_of(kind))
    assert made.difference < 1e-4
    assert not made.changed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "engine"),
    [("spans", "onnx"), ("embedding", "torch")],
)
def test_bench_runs_other_heads(
    pairs: dict[str, Pair], kind: str, engine: str, tmp_path: Path
) -> None:
    pair = pairs[kind]
    pair.teacher.save_pretrained(tmp_path / "teacher")
    settings = Settings((engine,), lengths=(8,), threads=(1,), batches=(1,), repeats=3)
    found = bench(pair.folder, tmp_path / "teacher", settings, lambda said: None)
    assert {row["engine"] for row in found["rows"]} == {engine}
    assert len(found["starts"]) == 2


def test_the_dense_model_is_of_the_same_head(pairs: dict[str, Pair], tmp_path: Path) -> None:
    pair = pairs["tokens"]
    pair.teacher.save_pretrained(tmp_path)
    found = load_dense(tmp_path, lada.load(pair.folder), "--against")
    with torch.no_grad():
        assert torch.equal(found(**pair.given).logits, pair.teacher(**pair.given).logits)
    with pytest.raises(lada.LadaError, match="--against"):
        load_dense(tmp_path, lada.load(pairs["regression"].folder), "--against")


def test_changed_answers_are_counted_by_the_kind(pairs: dict[str, Pair]) -> None:
    """By hand: one example of several labels crosses a threshold, one tag of a token changes."""
    for kind in ("multi_label", "tokens"):
        before, after = lada.load(pairs[kind].folder), lada.load(pairs[kind].folder)
        batches = make_batches(before, EXAMPLES)
        assert compare(before, after, batches) == (len(TEXTS), 0.0, 0)
        with torch.no_grad():
            after.model.classifier.bias[0] += 100
            given = before.model(**batches[0]).logits
        if kind == "multi_label":
            expected = int((given[:, 0].sigmoid() < 0.5).sum())
        else:
            real = batches[0]["attention_mask"].bool()
            expected = int(((given.argmax(-1) != 0) & real).any(1).sum())
        count, difference, changed = compare(before, after, batches)
        assert (count, changed) == (len(TEXTS), expected)
        assert difference == pytest.approx(100, abs=1e-3)
        assert expected


def test_padding_is_not_compared(pairs: dict[str, Pair]) -> None:
    loaded = lada.load(pairs["tokens"].folder)
    batches = make_batches(loaded, EXAMPLES)
    assert not batches[0]["attention_mask"].all()

    class Noisy(torch.nn.Module):
        def forward(self, **batch: Any) -> Any:
            out = loaded.model(**batch)
            out["logits"] = out.logits + 9 * (1 - batch["attention_mask"])[..., None]
            return out

    noisy = lada.load(pairs["tokens"].folder)
    noisy.model = Noisy()  # type: ignore[assignment]
    assert compare(loaded, noisy, batches) == (len(TEXTS), 0.0, 0)


def test_outputs_of_each_head() -> None:
    start, end = torch.arange(6.0).reshape(2, 3), torch.ones(2, 3)
    spans = {"loss": None, "start_logits": start, "end_logits": end, "hidden_states": ()}
    assert names_of(spans) == ("start_logits", "end_logits")
    np.testing.assert_array_equal(outputs_of(spans)[..., 0], start)
    np.testing.assert_array_equal(outputs_of(spans)[..., 1], end)
    assert outputs_of({"logits": start, "attentions": ()}) is start
    assert outputs_of({"last_hidden_state": end}) is end
    assert joined([start]) is start


def test_prepare_reads_the_head_of_a_folder(pairs: dict[str, Pair], tmp_path: Path) -> None:
    pairs["tokens"].teacher.save_pretrained(tmp_path)
    made = lada.prepare(tmp_path, target=2.0, steps=20)
    assert isinstance(made.model, BertForTokenClassification)


def test_without_a_kind_the_class_decides(pairs: dict[str, Pair], tmp_path: Path) -> None:
    """Of a model that was saved by hand."""
    for kind in ("tokens", "spans", "embedding"):
        loaded = lada.load(pairs[kind].folder)
        lada.save(loaded.model, loaded.tokenizer, tmp_path / kind, {"max_length": 32})
        assert lada.load(tmp_path / kind).head.name == kind


@pytest.mark.slow
def test_dense_vectors_load_without_lada(pairs: dict[str, Pair], tmp_path: Path) -> None:
    loaded = lada.load(pairs["embedding"].folder)
    export(loaded, "dense", tmp_path / "out", examples=rows_of("embedding"))
    code = (
        "import json, sys\n"
        "from sentence_transformers import SentenceTransformer\n"
        "found = SentenceTransformer(sys.argv[1]).encode(sys.argv[2:])\n"
        "assert 'lada' not in sys.modules\n"
        "print(json.dumps(found.tolist()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out"), *TEXTS]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
    found = np.array(json.loads(done.stdout.splitlines()[-1]))
    np.testing.assert_allclose(found, np.stack(loaded.classify(list(TEXTS))), atol=1e-5)
