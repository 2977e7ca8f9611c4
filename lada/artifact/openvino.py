"""A model in OpenVINO's format, fp32 or static int8."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.artifact import onnx
from lada.artifact.engine import Batch, Run, as_inputs, joined
from lada.artifact.quantize import quantized

FILE = "openvino_model.xml"


def write(model: PreTrainedModel, folder: Path, *, int8: bool, batches: list[Batch]) -> Path:
    """Write ``openvino_model.xml`` and ``.bin`` into a folder.

    Args:
        int8: see `quantized`.
    """
    import openvino

    core = _core()
    with tempfile.TemporaryDirectory(dir=folder) as work:
        file = onnx.write(model, Path(work), int8=False, batches=batches)
        # Not by convert_model, which sends telemetry.
        converted = core.read_model(file)
    if int8:
        converted = quantized(converted, batches)
    openvino.save_model(converted, folder / FILE, compress_to_fp16=False)
    return folder / FILE


def runner(file: Path, precision: str, threads: int) -> Run:
    """A function from a batch to outputs.

    Args:
        precision: "f32" or "bf16". It is always set, since OpenVINO chooses bf16 by itself on CPUs
            that have it.
        threads: 0: all cores.
    """
    config: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    compiled = _core().compile_model(file, "CPU", config)

    def run(batch: Batch) -> Tensor:
        found = compiled(as_inputs(batch))
        return joined([torch.from_numpy(found[n].copy()) for n in range(len(compiled.outputs))])

    return run


@cache
def _core() -> Any:
    """The core of OpenVINO, one for the whole process, with its CPU plugin loaded.

    Each loaded plugin sets a signal stack of the thread and restores the former one when it is
    freed. If several are freed in another order, freed memory stays in use as signal stack, and
    the next Ctrl-C ends the process with a segmentation fault.
    """
    import openvino

    core = openvino.Core()
    core.get_versions("CPU")
    return core
