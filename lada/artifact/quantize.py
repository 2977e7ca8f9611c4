"""Static int8 for an ONNX or OpenVINO model, by NNCF."""

import logging
import os
from typing import Any

from lada.artifact.engine import Batch, as_inputs


def quantized(model: Any, batches: list[Batch]) -> Any:
    """A copy of ``model`` whose matrix products are int8, in weights and activations.

    NNCF's settings for transformers: scales per channel for weights, SmoothQuant (Xiao et al. 2023,
    arXiv 2211.10438) before the ranges of the activations are measured on ``batches``, bias
    correction after.
    """
    os.environ.setdefault("NNCF_CI", "1")  # turns off its telemetry
    import nncf

    # Not with nncf.set_log_level, which also silences handlers shared by all loggers.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf.quantize(
        model,
        nncf.Dataset(batches, as_inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(batches),
    )
