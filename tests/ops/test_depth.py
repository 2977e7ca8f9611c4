"""How many layers a student keeps: by the definition, for every depth there is."""

import math

import pytest

from lada.ops.budget import Inventory, Matrix
from lada.ops.depth import solve_depth

LAYER, WIDTH, ROWS, OTHERS = 12 * 8 * 8, 8, 500, 70
DEPTHS = (1, 2, 3, 4, 6, 12)


def count(depth: int) -> Inventory:
    layers = (Matrix(f"layer {k}", 12 * WIDTH, WIDTH) for k in range(depth))
    table = Matrix("words", ROWS, WIDTH, embedding=True)
    return Inventory((table, *layers), {"biases": OTHERS + 5 * depth})


TOTAL = count(12).total


def enough(depth: int, target: float, how: str) -> bool:
    """Whether a depth leaves the word embeddings enough."""
    words = ROWS * WIDTH
    left = TOTAL // target - depth * (LAYER + 5) - OTHERS
    share = math.sqrt(12 * LAYER / words) * depth / 12
    return left >= words or (how == "svd" and left >= share * words)


@pytest.mark.parametrize("how", ["keep", "svd"])
@pytest.mark.parametrize("target", [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0, 30.0])
def test_the_most_layers_that_leave_enough(target: float, how: str) -> None:
    depth, whole = solve_depth(count, TOTAL, target, how, DEPTHS)
    fits = [d for d in DEPTHS if enough(d, target, how)]
    assert depth == max(fits, default=1)
    kept = count(depth).total <= TOTAL // target
    assert whole == (kept or how == "keep")


def test_compressed_word_embeddings_leave_room_for_more_layers() -> None:
    assert solve_depth(count, TOTAL, 2.5, "keep", DEPTHS) == (1, True)
    assert solve_depth(count, TOTAL, 2.5, "svd", DEPTHS) == (4, False)
