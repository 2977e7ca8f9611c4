"""Load time and peak memory of one engine: ``python probe.py ENGINE FILE PRECISION LENGTH AUTO``.

Run as a separate script, so that a process with ONNX Runtime or OpenVINO does not load torch.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def peak_bytes() -> int:
    """The peak memory of this process."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not by getrusage: on Linux that includes the memory of the parent at the start.
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(family: str, file: Path, precision: str, length: int, auto: str) -> None:
    """Load FILE, run one example of LENGTH tokens, print time and memory.

    Args:
        auto: name of the Auto class of transformers that reads FILE in torch.
    """
    sys.path[0] = str(Path(__file__).parents[1])  # not this folder, whose names are common ones
    ids = np.ones((1, length), np.int64)
    words: dict[str, Any] = {"input_ids": ids, "attention_mask": ids, "token_type_ids": 0 * ids}
    if family == "onnx":
        import onnxruntime

        started = time.perf_counter()
        run = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        loaded = time.perf_counter() - started
        taken = {one.name for one in run.get_inputs()}
        run.run(None, {name: value for name, value in words.items() if name in taken})
    elif family == "openvino":
        import openvino

        started = time.perf_counter()
        hint = {"INFERENCE_PRECISION_HINT": precision}
        compiled = openvino.Core().compile_model(file, "CPU", hint)
        loaded = time.perf_counter() - started
        taken = {name for one in compiled.inputs for name in one.get_names()}
        compiled({name: value for name, value in words.items() if name in taken})
    else:
        import torch
        import transformers

        import lada  # noqa: F401  # its artifacts load by the same name
        from lada.nn.capture import takes_types

        started = time.perf_counter()
        model = getattr(transformers, auto).from_pretrained(file, local_files_only=True)
        loaded = time.perf_counter() - started
        if not takes_types(model):
            del words["token_type_ids"]
        with torch.no_grad():
            model(**{name: torch.from_numpy(value) for name, value in words.items()})
    print(json.dumps({"load_seconds": loaded, "peak_megabytes": peak_bytes() / 1e6}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
