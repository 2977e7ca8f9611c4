"""Whether a teacher runs with its student, or its outputs are read from the disk."""

from typing import Any

from lada.data.outputs import Layout
from lada.run.job import Job


def layout_of(job: Job, config: Any) -> Layout:
    """What is stored of a teacher's outputs.

    Args:
        config: of the teacher's model.
    """
    method = job.method
    # Of values the last layer alone, see `lada.nn.capture.Outputs`.
    maps = {None: 0, "values": 1}.get(method.maps, config.num_hidden_layers)
    return Layout(
        classes=job.head.width or config.hidden_size,
        per_token=job.head.per_token,
        states=config.num_hidden_layers + 1 if method.hidden else 0,
        width=config.hidden_size if method.hidden else 0,
        layers=maps,
        heads=config.num_attention_heads if method.maps else 0,
    )


def why_live(
    layout: Layout, size: int, *, gb: float, epochs: float, accelerator: str, nodes: int, free: int
) -> str | None:
    """The reason to run the teacher with the student; None: its outputs are read from disk.

    Args:
        size: bytes of the outputs.
        gb: largest size in 10^9 bytes.
        epochs: how often each example is used.
        accelerator: gpu or cpu.
        nodes: machines that share the training.
        free: free bytes of the disk.
    """
    states = layout.states > 0 or layout.layers > 0
    if nodes > 1:
        return "several machines share the training, and may not share a disk"
    if epochs < 1 or (states and epochs == 1):
        return "each example is used once"
    if states and accelerator == "gpu":
        return "a GPU computes hidden states and attention maps faster"
    if size > gb * 1e9:
        return f"its outputs take {size / 1e9:.2g} GB, teacher_cache.gb is {gb:g}"
    if size > 0.9 * free:
        return f"its outputs take {size / 1e9:.2g} GB, the disk has {free / 1e9:.2g} GB free"
    return None
