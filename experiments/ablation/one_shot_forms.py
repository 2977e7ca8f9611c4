"""Forms of a matrix: the error of each encoder matrix's outputs in one shot, at equal budgets.

    python experiments/ablation/one_shot_forms.py SST2 OUT.json

Each matrix of the encoder of the pretrained MiniLM becomes factors (rank alone, or pruned to the
density 0.4), a pruned matrix, or factors plus a pruned residual, half of the budget each. Factors
are whitened and scores are `activation`, from the statistics of 1,024 training sentences; errors
are of the outputs on 1,024 others. A budget is that of ``ratios=solved``: in unpruned entries, or
in bytes as int8, with the entropy of the positions.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from setting import begin, finish, statistics
from torch import Tensor

from lada.artifact.expected import BITS, positions_bytes
from lada.methods.groups import RatiosConfig
from lada.methods.ratios import fractions_for
from lada.nn.surgery import inventory
from lada.ops.factorize import weighted_factors
from lada.ops.factorizers import whitened
from lada.ops.mask import largest
from lada.ops.scores import activation
from lada.ops.statistics import Seen

DENSITY = 0.4
TARGETS = (7.5, 10.0, 20.0)
KINDS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output of attention": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}


def in_entries(kept: int, of: int) -> float:
    """The cost of ``kept`` of so many entries, in entries."""
    return float(kept)


def in_bytes(kept: int, of: int) -> float:
    """The same in bytes, in units of an int8 value: positions cost too."""
    return kept + 1.05 * positions_bytes(kept, of) * 8 / BITS["int8"]


Cost = Callable[[int, int], float]


def most(cost: Callable[[int], float], budget: float, end: int) -> int:
    """The largest number up to ``end`` whose cost is within the budget; at least 1."""
    low, high = 1, end
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= budget else (low, middle - 1)
    return low


def pruned(parts: list[Tensor], kept: list[int], seen: Seen) -> list[Tensor]:
    """The parts without the entries of the lowest scores."""
    scores = activation(parts, seen)
    return [
        part * largest(score, count) for part, score, count in zip(parts, scores, kept, strict=True)
    ]


def rank_alone(weight: Tensor, seen: Seen, budget: float, cost: Cost) -> Tensor:
    """Factors."""
    size = sum(weight.shape)
    rank = most(lambda r: cost(r * size, r * size), budget, min(weight.shape))
    a, b = weighted_factors(weight, rank, whitened(seen))
    return a @ b.T


def pruned_factors(weight: Tensor, seen: Seen, budget: float, cost: Cost) -> Tensor:
    """Factors of which entries are pruned."""
    size = sum(weight.shape)
    rank = most(lambda r: cost(round(DENSITY * r * size), r * size), budget, min(weight.shape))
    parts = list(weighted_factors(weight, rank, whitened(seen)))
    density = most(lambda k: cost(k, rank * size), budget, rank * size) / (rank * size)
    a, b = pruned(parts, [round(density * part.numel()) for part in parts], seen)
    return a @ b.T


def pruned_matrix(weight: Tensor, seen: Seen, budget: float, cost: Cost) -> Tensor:
    """The matrix, pruned."""
    kept = most(lambda k: cost(k, weight.numel()), budget, weight.numel())
    return pruned([weight], [kept], seen)[0]


def with_residual(weight: Tensor, seen: Seen, budget: float, cost: Cost) -> Tensor:
    """Factors and a pruned residual, half and half."""
    product = rank_alone(weight, seen, budget / 2, cost)
    return product + pruned_matrix(weight - product, seen, budget / 2, cost)


FORMS = {
    "rank alone": rank_alone,
    "pruned factors": pruned_factors,
    "pruned matrix": pruned_matrix,
    "factors and residual": with_residual,
}


@torch.no_grad()
def main() -> None:
    """Measure all forms at three targets; one line each, and a file of them."""
    setting = begin(__doc__)
    model = setting.model
    ours, other = statistics(setting)
    counted = inventory(model)
    rows: list[dict[str, Any]] = []
    for target in TARGETS:
        fraction = fractions_for(counted, target, RatiosConfig(rule="solved"))
        share = fraction.svd * fraction.density
        for unit, cost in (("entries", in_entries), ("bytes", in_bytes)):
            errors: dict[str, list[float]] = {form: [] for form in FORMS}
            names = [m.name for m in counted.matrices if not m.embedding]
            for name in names:
                weight, seen = model.get_submodule(name).weight, ours.of(name)
                second = other.of(name).second
                assert second is not None
                for form, make in FORMS.items():
                    wrong = weight - make(weight, seen, share * weight.numel(), cost)
                    error = ((wrong @ second) * wrong).sum() / ((weight @ second) * weight).sum()
                    errors[form].append(float(error))
            table = np.array([errors[form] for form in FORMS])
            places = {
                kind: [i for i, name in enumerate(names) if _is(name, part)]
                for kind, part in KINDS.items()
            }
            for form, found in zip(FORMS, table, strict=True):
                rows.append(
                    {"target": target, "budget": unit, "form": form,
                     "mean": round(float(found.mean()), 4),
                     "best_of": int((table.argmin(0) == list(FORMS).index(form)).sum()),
                     **{k: round(float(found[where].mean()), 4) for k, where in places.items()}}
                )  # fmt: skip
                print(rows[-1], flush=True)
            best = {"target": target, "budget": unit, "form": "best of each matrix",
                    "mean": round(float(table.min(0).mean()), 4)}  # fmt: skip
            rows.append(best)
            print(best, flush=True)
    finish(rows, setting.out)


def _is(name: str, part: str) -> bool:
    layer = name.partition(".layer.")[2].partition(".")[2]
    return layer == part


if __name__ == "__main__":
    main()
