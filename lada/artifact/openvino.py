"""A model in OpenVINO's form, fp32 or static int8."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.artifact import onnx
from lada.artifact.engine import Batch, Run, as_inputs
from lada.artifact.quantize import quantized

FILE = "openvino_model.xml"


def write(model: PreTrainedModel, folder: Path, *, int8: bool, batches: list[Batch]) -> Path:
    """Write ``openvino_model.xml`` and ``.bin`` into a folder.

    Args:
        int8: see `quantized`.
    """
    import openvino

    with tempfile.TemporaryDirectory(dir=folder) as work:
        file = onnx.write(model, Path(work), int8=False, batches=batches)
        # Not by convert_model, which reports to its makers that it was called.
        converted = openvino.Core().read_model(file)
    if int8:
        converted = quantized(converted, batches)
    openvino.save_model(converted, folder / FILE, compress_to_fp16=False)
    return folder / FILE


def runner(file: Path, precision: str, threads: int) -> Run:
    """A function from a batch to logits.

    Args:
        precision: "f32" or "bf16": pinned, since OpenVINO takes bf16 by itself where the CPU has
            it.
        threads: 0: all cores.
    """
    import openvino

    config: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(file, "CPU", config)

    def run(batch: Batch) -> Tensor:
        return torch.from_numpy(compiled(as_inputs(batch))[0].copy())

    return run
