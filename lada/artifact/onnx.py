"""A model as an ONNX file, fp32 or static int8, run by ONNX Runtime."""

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lada.artifact.engine import INPUTS, Batch, Run, as_inputs, joined, names_of
from lada.artifact.quantize import quantized
from lada.nn.families import usable_positions

FILE = "model.onnx"


class _Outputs(nn.Module):
    """A model with inputs by position and named outputs alone."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]):
        super().__init__()
        self.model = model
        self.names = names

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            given["token_type_ids"] = token_type_ids
        out = self.model(**given)
        return tuple(out[name] for name in self.names)


def write(model: PreTrainedModel, folder: Path, *, int8: bool, batches: list[Batch]) -> Path:
    """Write ``model.onnx`` into a folder; any batch size and length up to the model's positions.

    Args:
        int8: see `quantized`.
    """
    whole = folder / FILE
    longest = usable_positions(model.config)
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("length", min=2, max=longest)
    example = batches[0]
    names = [name for name in INPUTS if name in example]
    if len(example["input_ids"]) == 1:  # the exporter would take a size of 1 as a constant
        example = {name: value.repeat(2, 1) for name, value in example.items()}
    # The exporter logs much that is of no use to a user.
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            model.eval()
            outputs = names_of(model(**{name: example[name] for name in names}))
            program = torch.onnx.export(
                _Outputs(model, outputs).eval(),
                tuple(example[name] for name in names),
                dynamo=True,
                dynamic_shapes=({0: batch, 1: length},) * len(names),
                input_names=names,
                output_names=list(outputs),
                verbose=False,
            )
    finally:
        logging.disable(before)
    assert program is not None
    program.save(str(whole))
    if int8:
        import onnx

        onnx.save(quantized(onnx.load(whole), batches), whole)
    return whole


def runner(file: Path, threads: int) -> Run:
    """A function from a batch to outputs; ``threads`` 0: all cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(batch: Batch) -> Tensor:
        return joined([torch.from_numpy(one) for one in session.run(None, as_inputs(batch))])

    return run
