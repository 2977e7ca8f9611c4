"""Bits per matrix: the error of the whole student in one shot, with one type of values or several.

    python experiments/ablation/one_shot_bits.py SST2 OUT.json

Whitened factors of the pretrained MiniLM at given sizes of the file. For each matrix and each type
of values the error of its outputs at every rank is measured with quantized factors, from the
statistics of 1,024 training sentences. Ranks, and with ``mixed`` the type of each matrix too, are
those of the least summed error (in the units of `lada.ops.allocate.spectrum`) for the bytes. Then
the hidden states of the whole student are compared on 256 other sentences.
"""

from typing import Any

import torch
from setting import batches, begin, distance, finish, states
from torch import Tensor

from lada.artifact.expected import BITS, SCALE_BYTES, TENSOR_BYTES
from lada.artifact.stored import how_stored
from lada.methods.structures import trainable_copy
from lada.nn.statistics import gather
from lada.nn.surgery import inventory
from lada.ops.bits import GROUP, LARGEST, dequantize, quantize
from lada.ops.factorize import Weights, weighted_factors
from lada.ops.factorizers import whitened

TYPES = ("int8", "int4", "int3", "int2")
CASES = {**{name: (name,) for name in TYPES}, "mixed": TYPES}
MEGABYTES = (3.2, 1.8, 1.2)


def as_stored(part: Tensor, values: str) -> Tensor:
    """The values of a factor (m, rank) as a file has them."""
    if values in LARGEST:
        return dequantize(quantize(part, values, axis=1), axis=1)
    steps = part.abs().amax(0) / 127
    return (part / steps).round() * steps


def errors_by_rank(weight: Tensor, weights: Weights, values: str) -> Tensor:
    """The error of the outputs at rank 1, 2, ... with stored factors, over that at rank 0."""
    a, b = weighted_factors(weight, min(weight.shape), weights)
    true_a, true_b = (x.double() for x in weights.applied(a, b))
    our_a, our_b = (x.double() for x in weights.applied(as_stored(a, values), as_stored(b, values)))
    both = ((true_a.T @ our_a) * (true_b.T @ our_b)).sum(0).cumsum(0)
    ours = (our_a.T @ our_a) * (our_b.T @ our_b)
    taken = 2 * both - ours.cumsum(0).cumsum(1).diagonal()
    return -taken / weight.double().square().mean()


def bytes_by_rank(shape: torch.Size, values: str) -> Tensor:
    """Bytes of the two factors at rank 1, 2, ..."""
    m, n = shape
    scales = (m + n) / GROUP if values in LARGEST else 2.0
    return (
        torch.arange(1, min(m, n) + 1).double()
        * ((m + n) * BITS[values] / 8 + scales * SCALE_BYTES)
        + 2 * TENSOR_BYTES
    )


def bytes_of_rest(model: Any, matrices: set[str]) -> float:
    """Of what is not compressed."""
    size = 0.0
    for name, p in model.named_parameters():
        if name.removesuffix(".weight") not in matrices:
            kind, _ = how_stored(name, p, "int8", compressed=False)
            size += p.numel() * BITS[kind] / 8 + TENSOR_BYTES
    return size


def chosen(
    found: dict[str, dict[str, tuple[Tensor, Tensor]]], types: tuple[str, ...], budget: float
) -> dict[str, tuple[str, int]]:
    """The type and rank of each matrix with the least summed error, by a price per byte."""

    def at(price: float) -> tuple[dict[str, tuple[str, int]], float]:
        out, spent = {}, 0.0
        for name, by_type in found.items():
            best = None
            for values in types:
                error, size = by_type[values]
                total = error + price * size
                place = int(total.argmin())
                if best is None or float(total[place]) < best[0]:
                    best = float(total[place]), values, place
            assert best is not None
            out[name] = best[1], best[2] + 1
            spent += float(by_type[best[1]][1][best[2]])
        return out, spent

    low, high = 1e-6, 1e6
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if at(middle)[1] <= budget else (middle, high)
    return at(high)[0]


@torch.no_grad()
def main() -> None:
    """Measure all cases at three sizes; one line each, and a file of them."""
    setting = begin(__doc__)
    model, tokenizer, shown = setting.model, setting.tokenizer, setting.shown
    statistics = gather(model, batches(setting.seen, tokenizer))
    before = states(model, shown, tokenizer)
    found: dict[str, dict[str, tuple[Tensor, Tensor]]] = {}
    for matrix in inventory(model).matrices:
        weight = model.get_submodule(matrix.name).weight
        weights = whitened(statistics.of(matrix.name))
        found[matrix.name] = {
            values: (errors_by_rank(weight, weights, values), bytes_by_rank(weight.shape, values))
            for values in TYPES
        }
    rest = bytes_of_rest(model, set(found))
    rows: list[dict[str, Any]] = []
    for megabytes in MEGABYTES:
        for case, types in CASES.items():
            picked = chosen(found, types, megabytes * 1e6 - rest)
            student = trainable_copy(model)
            for name, (values, rank) in picked.items():
                layer = student.get_submodule(name)
                a, b = weighted_factors(layer.weight, rank, whitened(statistics.of(name)))
                layer.weight.copy_(as_stored(a, values) @ as_stored(b, values).T)
            after = distance(before, states(student, shown, tokenizer))
            kinds = [values for values, _ in picked.values()]
            size = rest + sum(
                float(found[name][values][1][rank - 1]) for name, (values, rank) in picked.items()
            )
            words, rank = next(iter(picked.values()))
            rows.append(
                {"mb": megabytes, "values": case, "size": round(size / 1e6, 3),
                 "matrices": {values: kinds.count(values) for values in types},
                 "words": f"{words} {rank}",
                 "hidden_states": round(after, 4)}
            )  # fmt: skip
            print(rows[-1], flush=True)
    finish(rows, setting.out)


if __name__ == "__main__":
    main()
