"""The scores of each stored form of one model, on the same examples.

    python experiments/size_and_speed/scores.py ARTIFACT --data GLUE --out scores.json

ARTIFACT was stored as fp32 (``artifact=fp32``): the other forms are made from it here. ``changed``
counts the examples that get another label than from the fp32 file. int8 engines are calibrated on
300 training examples.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import lada
from lada.artifact import measure, onnx, openvino
from lada.artifact.classifier import Classifier
from lada.artifact.engine import Run, torch_runner
from lada.artifact.export import export
from lada.data.source import load_task
from lada.files import output_file
from lada.report.record import ENGINE_PACKAGES, PACKAGES, machine, write_json
from lada.report.stats import wilson


def labels(classifier: Classifier, run: Run, texts: list[str]) -> torch.Tensor:
    """The answer to each text, in batches of 32."""
    parts = [texts[i : i + 32] for i in range(0, len(texts), 32)]
    return torch.cat([run(dict(classifier.tokens(part))).argmax(-1) for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--data", required=True, help="folder with SST-2/")
    parser.add_argument("--out", type=output_file, required=True)
    args = parser.parse_args()
    data = load_task("sst2", data_dir=args.data, validation_examples=None, split_by="example")
    (dev,) = data.dev.values()
    right = torch.tensor(dev.labels)
    first = lada.load(args.artifact)
    calibration = [(text, None) for text in data.train.texts[:300]]
    rows: list[dict[str, Any]] = []
    answers: list[torch.Tensor] = []

    def add(form: str, run: Run, size: int) -> None:
        answers.append(labels(first, run, dev.texts))
        found = answers[-1]
        correct = int((found == right).sum())
        rows.append(
            {
                "form": form,
                "bytes": size,
                "rows": len(right),
                "correct": correct,
                "accuracy": correct / len(right),
                "accuracy_95": wilson(correct, len(right)),
                "changed": int((found != answers[0]).sum()),
            }
        )
        print(rows[-1], flush=True)

    with tempfile.TemporaryDirectory() as work:
        for values in ("fp32", "fp16", "int8"):
            folder = Path(work) / values
            lada.save(first.model, first.tokenizer, folder, first.about, values=values)
            model = lada.load(folder).model
            add(f"packed {values}", torch_runner(model), measure(folder)["stored_bytes"])
        classifier = lada.load(Path(work) / "int8")
        dense = export(classifier, "dense", Path(work) / "dense", examples=calibration)
        again = torch_runner(_plain(dense.folder))
        add("int8, exported to dense", again, dense.stored_bytes)
        for to, int8 in (("onnx", False), ("onnx", True), ("openvino", False), ("openvino", True)):
            out = Path(work) / f"{to}-{int8}"
            made = export(classifier, to, out, int8=int8, examples=calibration)
            name = f"int8, exported to {to} {'int8' if int8 else 'fp32'}"
            if to == "onnx":
                add(name, onnx.runner(out / onnx.FILE, 0), made.stored_bytes)
                continue
            add(name, openvino.runner(out / openvino.FILE, "f32", 0), made.stored_bytes)
            if not int8:
                bf16 = openvino.runner(out / openvino.FILE, "bf16", 0)
                add("int8, exported to openvino, run in bf16", bf16, made.stored_bytes)
    here = machine("cpu", torch.get_num_threads(), (*PACKAGES, *ENGINE_PACKAGES))
    command = " ".join(["python", "experiments/size_and_speed/scores.py", *sys.argv[1:]])
    command = command.replace(str(args.artifact), "ARTIFACT").replace(args.data, "PATH")
    about = {"command": command, "machine": here, "artifact": first.about}
    about["teacher_bytes"] = dense.stored_bytes  # of the same tensors
    write_json(args.out, about | {"rows": rows})


def _plain(folder: Path) -> torch.nn.Module:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(folder).eval()


if __name__ == "__main__":
    main()
