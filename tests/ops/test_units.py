"""Units of encoder layers: their importance, which of them stay, and the plan of their numbers."""

import math
import random
from typing import get_args

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from lada.methods.groups import ScheduleConfig
from lada.nn.surgery import inventory
from lada.nn.units import unit_groups
from lada.ops.budget import BudgetError, solve_fast
from lada.ops.plan import Plan, Share, UnitShare
from lada.ops.units import choose_units, make_unit_plan, size_of_heads, smoothed

SHAPES = {
    "bert-base": BertConfig(),
    "minilm-l6": BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536),
    "tiny": BertConfig(vocab_size=2000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                       intermediate_size=64, max_position_embeddings=32),
}  # fmt: skip


def planned(shape: str, target: float, rounds: int = 8, how: str = "cubic") -> Plan:
    with torch.device("meta"):
        dense = BertForSequenceClassification(SHAPES[shape])
    return make_unit_plan(inventory(dense), unit_groups(dense), target, how, rounds)


def units_of(plan: Plan) -> list[int]:
    return [
        sum(s.kept // s.length for s in round_.shares if isinstance(s, UnitShare)) // 2
        for round_ in plan.rounds
    ]


@pytest.mark.parametrize(
    ("shape", "target"),
    [(name, target) for name in ("bert-base", "minilm-l6") for target in (2.5, 7.5, 20.0)]
    + [("tiny", 2.5), ("tiny", 5.0)],
)
def test_the_plan_meets_the_target(shape: str, target: float) -> None:
    plan = planned(shape, target)
    last, first = plan.rounds[-1], plan.rounds[0]
    assert target <= last.ratio <= 1.005 * target
    config = SHAPES[shape]
    width, layers = config.hidden_size, config.num_hidden_layers
    with torch.device("meta"):
        counted = inventory(BertForSequenceClassification(config))
    (words,) = (s for s in last.shares if isinstance(s, Share))
    numbers = units_of(plan)
    kept = counted.kept_whole + words.rank * (config.vocab_size + width) + 2 * width * numbers[-1]
    assert last.nonzeros == kept
    wanted = counted.word_embeddings.full_rank * solve_fast(counted, target).embedding
    assert abs(words.rank - wanted) <= max(3, 0.06 * wanted)
    # The rank is the last one from the start; nothing else is pruned there.
    assert next(s for s in first.shares if isinstance(s, Share)) == words
    assert numbers[0] == layers * (2 * width + config.intermediate_size)
    assert numbers == sorted(numbers, reverse=True)
    for k, number in enumerate(numbers):
        fall = numbers[-1] + (numbers[0] - numbers[-1]) * (1 - k / (len(numbers) - 1)) ** 3
        assert number == pytest.approx(fall, abs=1)


@pytest.mark.parametrize("shape", get_args(ScheduleConfig.__annotations__["shape"]))
def test_each_matrix_keeps_whole_lines(shape: str) -> None:
    plan = planned("tiny", 6.0, rounds=5, how=shape)
    for before, after in zip(plan.rounds, plan.rounds[1:], strict=False):
        for one, two in zip(before.shares, after.shares, strict=True):
            assert one.kept >= two.kept
            if isinstance(two, UnitShare):
                assert two.kept % two.length == 0


def test_targets_out_of_reach() -> None:
    with pytest.raises(BudgetError, match=r"x60 is out of reach; the largest is x45\.54"):
        planned("bert-base", 60.0)
    with pytest.raises(BudgetError, match="enlarges"):
        planned("bert-base", 0.5)


def test_importance_by_a_loop() -> None:
    draw = random.Random(0)
    steps = [[draw.gauss(0, 1) for _ in range(5)] for _ in range(40)]
    found = torch.zeros(5)
    for step in steps:
        found = smoothed(found, torch.tensor(step))
    for unit in range(5):
        wanted = sum(0.002 * 0.998 ** (39 - k) * abs(step[unit]) for k, step in enumerate(steps))
        assert float(found[unit]) == pytest.approx(wanted, rel=1e-4)


def test_heads_by_a_loop() -> None:
    kept = torch.rand(12, generator=torch.Generator().manual_seed(0)) < 0.5
    kept[8:] = False
    found = size_of_heads(kept, 3, 0.3)
    for unit in range(12):
        head = kept.tolist()[unit // 4 * 4 :][:4]
        assert float(found[unit]) == pytest.approx(math.tanh(sum(head) / 4 / 0.3), abs=1e-6)
    assert float(found[8:].max()) == 0.0
    assert size_of_heads(kept, 3, 0.0).unique().tolist() == [0.0, 1.0]


def chosen(qk: list[float], vo: list[float], ffn: list[float], keep: int) -> list[set[int]]:
    """What stays of two heads of half the dimensions each: written out, one head at a time."""
    dims = len(vo) // 2
    dead: set[int] = set()
    while True:
        ranked = sorted(
            [(score, place, unit)
             for place, part in enumerate((qk, vo, ffn)) for unit, score in enumerate(part)
             if math.isfinite(score) and not (place < 2 and unit // dims in dead)],
            reverse=True,
        )  # fmt: skip
        kept: list[set[int]] = [set(), set(), set()]
        for _, place, unit in ranked[:keep]:
            kept[place].add(unit)
        for head in {0, 1} - dead:
            of_head = [r for r in ranked if r[1] < 2 and r[2] // dims == head]
            if not any(unit // dims == head for unit in kept[1]) and (
                of_head and len(ranked) - len(of_head) >= keep
            ):
                dead.add(head)
                break
        else:
            return kept


@pytest.mark.parametrize("seed", range(20))
def test_which_units_stay(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    scores = [torch.rand(n, generator=draw) * scale for n, scale in ((8, 1), (8, 0.4), (6, 1))]
    scores[2][:2] = -torch.inf
    left = 20
    for keep in (18, 12, 6, 2, 1):
        masks = choose_units(scores, [(0, 1)], 2, keep)
        wanted = chosen(*(part.tolist() for part in scores), keep)
        assert [set(mask.nonzero().flatten().tolist()) for mask in masks] == wanted
        assert sum(int(mask.sum()) for mask in masks) == keep <= left
        for score, mask in zip(scores, masks, strict=True):
            assert not (mask & score.isinf()).any()
            score.masked_fill_(~mask, -torch.inf)
        left = keep
