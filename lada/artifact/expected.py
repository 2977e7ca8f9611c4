"""The size that a file will have, expected from a plan."""

import math
from collections.abc import Callable

from torch import nn
from transformers import PreTrainedModel

from lada.artifact.container import WEIGHTS
from lada.artifact.stored import how_stored
from lada.errors import LadaError
from lada.nn.families import layers_of
from lada.nn.surgery import inventory
from lada.ops.bits import GROUP, LARGEST
from lada.ops.plan import Plan, Share, UnitShare

BITS = {
    "fp32": 29.7,
    "fp16": 14.9,
    "int8": 7.1,
    "int4": 3.6,
    "int3": 2.65,
    "int2": 1.54,
    "int1": 1.0,
}
"""Bits on disk per unpruned value of each type, after zstd: of MiniLM's factors."""

SCALE_BYTES = {"int8": 1.7, "int4": 1.7, "int3": 1.7, "int2": 1.6, "int1": 1.52}
"""Of a scale in a file: an fp16 number after zstd. Means, as those of int1, differ the least."""

TENSOR_BYTES = 250
"""Of a tensor besides its values: its header, its name, and its form in the description."""

STEP = 1.1
"""Of the ratios that are tried first."""

MOST = 1000.0
"""The largest ratio that is tried."""


def expected_bytes(plan: Plan, dense: PreTrainedModel, values: str) -> int:
    """The expected size of ``model.safetensors``, in bytes.

    It is an estimate: how well values compress depends on what they are after training.

    Args:
        dense: what the student is made from; its shapes count alone.
        values: how the compressed matrices are stored (`BITS`).
    """
    last, size = plan.rounds[-1], 0.0
    matrices = {matrix.name: matrix for matrix in inventory(dense, pooler=True).matrices}
    for share in last.shares:
        table = matrices[share.name]
        if isinstance(share, Share):
            entries: tuple[int, ...] = (table.rows * share.rank, table.cols * share.rank)
            lines = share.rank
        else:
            entries, lines = (table.size,), table.rows
        if isinstance(share, UnitShare) and share.axis == 0:
            lines = share.kept // share.length  # rows that are pruned have no scale
        # Positions of whole rows or columns repeat from line to line, and zstd stores them once.
        length = share.length if isinstance(share, UnitShare) else 1
        for kept, of in zip(share.counts, entries, strict=True):
            scales = kept / GROUP if values in LARGEST else lines
            positions = positions_bytes(kept // length, of // length)
            size += kept * BITS[values] / 8 + 1.05 * positions + TENSOR_BYTES
            size += scales * SCALE_BYTES.get(values, 0.0)
    return round(size + _bytes_of_rest(plan, dense, values))


def _bytes_of_rest(plan: Plan, dense: PreTrainedModel, values: str) -> float:
    """Of the tensors that no round compresses."""
    last = plan.rounds[-1]
    matrices = {share.name for share in last.shares}
    rest = last.nonzeros - sum(share.kept for share in last.shares)
    whole = [(name, p) for name, p in _left(plan, dense)
             if name.removesuffix(".weight") not in matrices]  # fmt: skip
    size, numbers, large = 0.0, 0, 0.0
    for name, p in whole:
        how, _ = how_stored(name, p, values, compressed=False)
        stored = p.numel() * BITS[how] / 8
        size += stored + TENSOR_BYTES
        numbers += p.numel()
        large += stored if p.dim() > 1 else 0.0
    # A student may have other dense matrices than the teacher, or fewer positions.
    more = (rest - numbers) * BITS["int8" if values in LARGEST else values] / 8
    return size + (more if more > 0 else max(more, -large))


def _left(plan: Plan, dense: PreTrainedModel) -> list[tuple[str, nn.Parameter]]:
    """The parameters of the layers that stay, and of all else."""
    every = list(dense.named_parameters())
    if plan.layers is None:
        return every
    place = layers_of(dense) + "."
    gone = range(plan.layers, dense.config.num_hidden_layers)
    ends = tuple(f"{place}{number}." for number in gone)
    return [(name, p) for name, p in every if not name.startswith(ends)]


def positions_bytes(kept: int, entries: int) -> float:
    """The entropy of which ``kept`` of ``entries`` remain, in bytes.

    Example:
        >>> positions_bytes(500, 1000), positions_bytes(8, 8)
        (125.0, 0.0)
    """
    density = kept / entries
    if not 0.0 < density < 1.0:
        return 0.0
    bits = -density * math.log2(density) - (1.0 - density) * math.log2(1.0 - density)
    return entries * bits / 8


def ratio_for(
    megabytes: float, plan_at: Callable[[float], Plan], dense: PreTrainedModel, values: str
) -> float:
    """The smallest ratio whose file is expected to have at most so many megabytes (10^6 bytes).

    Args:
        plan_at: the plan for a ratio; a ratio that cannot be met raises `LadaError`.

    Returns:
        A ratio with at most 3 decimals.

    Raises:
        LadaError: no plan has so small a file.
    """
    sizes: list[int] = []
    reasons: list[str] = []

    def fits(ratio: float) -> bool:
        try:
            plan = plan_at(ratio)
        except LadaError as error:
            reasons.append(str(error).removeprefix(f"target.ratio={ratio:g}: "))
            return False
        sizes.append(expected_bytes(plan, dense, values))
        return sizes[-1] <= megabytes * 1e6

    ratio, planned = 1.0, 0
    while not fits(ratio):
        beyond = planned > 0 and len(sizes) == planned  # the largest ratio that is possible
        ratio, planned = ratio * STEP, len(sizes)
        if beyond or ratio > MOST:
            if not sizes:
                raise LadaError(f"target.mb={megabytes:g}: {reasons[-1]}")
            fewer = "" if values in LARGEST else ", or fewer bits, such as artifact=int4"
            raise LadaError(
                f"target.mb={megabytes:g}: no plan of this method has so small a {WEIGHTS}; the "
                f"least is about {min(sizes) / 1e6:.3g} MB. Give more{fewer}."
            )
    low, high = max(1.0, ratio / STEP), ratio
    while high - low > 5e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return math.ceil(high * 1000) / 1000
