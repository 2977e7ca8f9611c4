"""Artifacts in the forms of others: the same answers, and a plain word where that cannot be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

import lada
from lada.artifact.export import export
from lada.nn.compressed import compressed_layers

ROWS = [(f"the soup was {word} at all, number {i}", None)
        for i, word in enumerate("not bad good never fine poor a".split())]  # fmt: skip


@pytest.mark.slow
def test_dense_loads_without_lada(folder: Path, tmp_path: Path) -> None:
    classifier = lada.load(folder)
    made = export(classifier, "dense", tmp_path / "dense", examples=ROWS)
    assert made.changed == 0
    assert made.difference < 1e-4
    weights = tmp_path / "dense/model.safetensors"
    assert made.stored_bytes == weights.stat().st_size
    assert json.loads((tmp_path / "dense/config.json").read_text())["model_type"] == "bert"
    text = "the soup was not bad"
    code = (
        "import sys\n"
        "from transformers import pipeline\n"
        f"classify = pipeline('text-classification', {str(tmp_path / 'dense')!r})\n"
        f"print(classify({text!r})[0]['label'])\n"
        "assert 'lada' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == classifier(text).label


def _int8_weights(folder: Path) -> int:
    """How many matrices of int8 an export holds."""
    if (folder / "model.onnx").is_file():
        import onnx

        tensors = onnx.load(folder / "model.onnx").graph.initializer
        return sum(t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 2 for t in tensors)
    import openvino

    found = openvino.Core().read_model(folder / "openvino_model.xml").get_ops()
    return sum(
        op.get_type_name() == "Constant"
        and op.get_element_type() == openvino.Type.i8
        and len(op.get_output_shape(0)) == 2
        for op in found
    )


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino"])
@pytest.mark.parametrize("int8", [False, True], ids=["fp32", "int8"])
def test_engines(folder: Path, tmp_path: Path, to: str, int8: bool) -> None:
    classifier = lada.load(folder)
    made = export(classifier, to, tmp_path / "out", int8=int8, examples=ROWS)
    batch = dict(classifier.tokens([text for text, _ in ROWS]))
    with torch.no_grad():
        spread = float(classifier.model(**batch).logits.std())
    bound = (0.3 if int8 else 1e-4) * spread
    assert made.examples == len(ROWS)
    assert made.difference < bound
    assert made.changed <= (1 if int8 else 0)
    if int8:
        whole = export(classifier, to, tmp_path / "fp32", examples=ROWS)
        assert made.difference > whole.difference
        # Two thin products for each linear layer, but for the 2-class one.
        assert _int8_weights(tmp_path / "out") >= 2 * (len(compressed_layers(classifier.model)) - 1)
    assert (tmp_path / "out/tokenizer.json").is_file()
    assert not list(tmp_path.glob(".out*"))
    # Any number of rows, any length up to the model's positions.
    from lada.artifact import onnx, openvino

    run = (
        onnx.runner(tmp_path / "out" / onnx.FILE, 1)
        if to == "onnx"
        else openvino.runner(tmp_path / "out" / openvino.FILE, "f32", 1)
    )
    for texts in (["a"], ["not bad"] * 9, ["x y z w " * 9]):
        batch = dict(classifier.tokens(texts))
        with torch.no_grad():
            expected = classifier.model(**batch).logits
        assert (run(batch) - expected).abs().max() < 2 * bound


@pytest.mark.slow
def test_what_pruning_emptied_is_left_out(folder: Path, tmp_path: Path) -> None:
    classifier = lada.load(folder)
    before = export(classifier, "onnx", tmp_path / "before", examples=ROWS)
    layer = compressed_layers(classifier.model)["bert.encoder.layer.0.attention.self.query"]
    with torch.no_grad():
        layer.factor_a[:, 0] = 0
    made = export(classifier, "onnx", tmp_path / "out", examples=ROWS)
    assert made.removed["directions"] == before.removed["directions"] + 1
    assert made.difference < 1e-4


def test_rejections(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = lada.load(folder)
    for to, int8, rows, words in (
        ("gguf", False, (), "Choose one of dense, onnx, openvino"),
        ("dense", True, ROWS, "no --int8"),
        ("onnx", True, (), "--sentences"),
    ):
        with pytest.raises(lada.LadaError, match=words):
            export(classifier, to, tmp_path / "out", int8=int8, examples=rows)
    with pytest.raises(lada.LadaError, match="exists already"):
        export(classifier, "dense", folder)
    mixed = [("a", None), ("b", "c")]
    with pytest.raises(lada.LadaError, match="some examples have a pair"):
        export(classifier, "dense", tmp_path / "out", examples=mixed)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(lada.LadaError, match=r"pip install 'ladabert\[openvino\]'"):
        export(classifier, "openvino", tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


def test_logits_that_differ_are_rejected(folder: Path, tmp_path: Path, monkeypatch) -> None:
    from lada.artifact import export as module

    original = module.dense_model

    def off(model):
        made = original(model)
        made.classifier.bias.data += 0.01
        return made

    monkeypatch.setattr(module, "dense_model", off)
    with pytest.raises(lada.LadaError, match=r"outputs differ by 0\.01"):
        export(lada.load(folder), "dense", tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


def test_the_model_itself_is_left_be(folder: Path, tmp_path: Path) -> None:
    classifier = lada.load(folder)
    before = {k: v.clone() for k, v in classifier.model.state_dict().items()}
    export(classifier, "dense", tmp_path / "out")
    after = classifier.model.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())
    assert type(AutoModelForSequenceClassification.from_pretrained(folder)) is type(
        classifier.model
    )
