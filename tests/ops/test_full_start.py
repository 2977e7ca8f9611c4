"""Plans whose first round compresses nothing: ``schedule.start=full``."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from inventories import BASE, MINILM, TOY, bert

from lada.ops.budget import (
    BudgetError,
    Fractions,
    Inventory,
    exact_ratio,
    solve_default,
    solve_fast,
    solve_scaled,
)
from lada.ops.plan import MaskShare, Plan, Share, make_mask_plan, make_plan, make_table_plan
from lada.ops.schedule import SHAPES, kept_fraction, progress

RULES: tuple[Callable[[Inventory, float], Fractions], ...] = (
    solve_default,
    solve_scaled,
    solve_fast,
)
inventories = st.one_of(
    st.sampled_from([BASE, MINILM]),
    st.builds(
        bert,
        vocabulary=st.sampled_from([500, 2000, 30_522]),
        width=st.sampled_from([32, 100, 312]),
        layers=st.sampled_from([1, 4, 12]),
        inner=st.sampled_from([32, 64, 300, 1248]),
    ),
)
shapes = st.sampled_from(sorted(SHAPES))
targets = st.floats(1.05, 15.0)


def _never_rises(plan: Plan) -> bool:
    return all(
        a.kept >= b.kept and all(x >= y for x, y in zip(a.counts, b.counts, strict=True))
        for before, after in pairwise(plan.rounds)
        for a, b in zip(before.shares, after.shares, strict=True)
    )


class TestProgress:
    def test_by_hand(self) -> None:
        assert progress(1, "compressed") == progress(1, "full") == [1.0]
        assert progress(2, "compressed") == [0.5, 1.0]
        assert progress(2, "full") == [0.0, 1.0]
        assert progress(5, "full") == [0.0, 0.25, 0.5, 0.75, 1.0]

    @given(rounds=st.integers(2, 500))
    def test_equal_steps_to_the_target(self, rounds: int) -> None:
        for start, first, step in (
            ("compressed", 1 / rounds, 1 / rounds),
            ("full", 0.0, 1 / (rounds - 1)),
        ):
            found = progress(rounds, start)
            assert (len(found), found[0], found[-1]) == (rounds, first, 1.0)
            assert [b - a for a, b in pairwise(found)] == pytest.approx([step] * (rounds - 1))

    def test_what_cannot_be_is_rejected(self) -> None:
        with pytest.raises(ValueError, match="0 rounds are not possible"):
            progress(0, "full")
        with pytest.raises(ValueError, match="'half' is not one of compressed, full"):
            progress(3, "half")


class TestFactors:
    @settings(max_examples=150)
    @given(
        inventory=inventories,
        target=targets,
        rule=st.sampled_from(RULES),
        shape=shapes,
        rounds=st.integers(2, 12),
        round_to=st.sampled_from([1, 8]),
    )
    def test_from_the_matrices_to_the_same_last_round(
        self,
        inventory: Inventory,
        target: float,
        rule: Callable[[Inventory, float], Fractions],
        shape: str,
        rounds: int,
        round_to: int,
    ) -> None:
        try:
            fractions = rule(inventory, target)
            usual = make_plan(inventory, target, fractions, shape, rounds, round_to)
        except BudgetError:
            assume(False)
        plan = make_plan(inventory, target, fractions, shape, rounds, round_to, start="full")
        assert len(plan.rounds) == rounds
        assert plan.rounds[-1] == usual.rounds[-1]
        for share, m in zip(plan.rounds[0].shares, inventory.matrices, strict=True):
            most = min(m.rows, m.cols)
            assert share == Share(m.name, most, m.rows * most, m.cols * most)
        assert plan.rounds[0].ratio < 1  # factors of full rank are larger than their matrix
        assert _never_rises(plan)
        for before, after in pairwise(plan.rounds):
            assert before.nonzeros >= after.nonzeros
            for a, b in zip(before.shares, after.shares, strict=True):
                assert a.rank >= b.rank
        for round_ in plan.rounds:
            assert round_.nonzeros == inventory.kept_whole + sum(s.kept for s in round_.shares)
            for share, m in zip(round_.shares, inventory.matrices, strict=True):
                assert 1 <= share.kept_a <= m.rows * share.rank
                assert 1 <= share.kept_b <= m.cols * share.rank
        assert plan.delta == pytest.approx(plan.rounds[-1].ratio ** (-1 / (rounds - 1)))
        if rounds == 2:
            assert plan.lowerings == [1]

    @given(inventory=inventories, target=st.floats(3.0, 10.0), rounds=st.integers(2, 30))
    def test_equal_steps_down_from_full_rank(
        self, inventory: Inventory, target: float, rounds: int
    ) -> None:
        """No jump to half the rank, which is where fraction 1 of a square matrix is."""
        try:
            plan = make_plan(
                inventory, target, solve_fast(inventory, target), "linear", rounds, start="full"
            )
        except BudgetError:
            assume(False)
        for i, m in enumerate(inventory.matrices):
            ranks = [round_.shares[i].rank for round_ in plan.rounds]
            step = (min(m.rows, m.cols) - ranks[-1]) / (rounds - 1)
            assert all(abs(a - b - step) < 1 + 1e-6 for a, b in pairwise(ranks))

    @pytest.mark.parametrize("shape", sorted(SHAPES))
    def test_the_middle_round_by_hand(self, shape: str) -> None:
        p = Fractions(0.2, 0.5, 0.2)
        plan = make_plan(BASE, exact_ratio(BASE, p), p, shape, 3, start="full")
        middle = {s.name: s for s in plan.rounds[1].shares}
        # Last ranks: 0.2 * 749.15, to the nearest; 0.5 * 384; 0.5 * 614.4, floored.
        for name, last, sides in (
            ("words", 150, (30_522, 768)),
            ("3.query", 192, (768, 768)),
            ("3.up", 307, (3072, 768)),
        ):
            halfway = {
                "geometric": (768 * last) ** 0.5,
                "linear": (768 + last) / 2,
                "cubic": last + (768 - last) / 8,
            }[shape]
            share = middle[name]
            assert share.rank == int(halfway)
            density = 1.0 if name == "words" else kept_fraction(shape, 0.2, 0.5)
            assert share.counts == tuple(round(density * share.rank * side) for side in sides)

    def test_one_round_is_the_target(self) -> None:
        p = Fractions(0.4, 0.5, 0.4)
        one, usual = (
            make_plan(TOY, 3.0, p, "geometric", 1, start=s) for s in ("full", "compressed")
        )
        assert one.rounds == usual.rounds and one.delta == usual.delta


@given(inventory=inventories, target=targets, shape=shapes, rounds=st.integers(2, 12))
def test_masks(inventory: Inventory, target: float, shape: str, rounds: int) -> None:
    try:
        usual = make_mask_plan(inventory, target, shape, rounds)
    except BudgetError:
        assume(False)
    plan = make_mask_plan(inventory, target, shape, rounds, start="full")
    assert plan.rounds[0].shares == tuple(MaskShare(m.name, m.size) for m in inventory.matrices)
    assert plan.rounds[0].ratio == 1.0
    assert plan.rounds[-1] == usual.rounds[-1]
    assert len(plan.rounds) == rounds
    assert _never_rises(plan)


@pytest.mark.parametrize("how", ["svd", "prune"])
@given(inventory=inventories, share=st.floats(0.02, 0.98), shape=shapes, rounds=st.integers(2, 12))
def test_word_embeddings(
    how: str, inventory: Inventory, share: float, shape: str, rounds: int
) -> None:
    table = inventory.word_embeddings
    target = inventory.total / (inventory.total - share * table.size)
    try:
        usual = make_table_plan(inventory, inventory.total, target, how, shape, rounds)
    except BudgetError:
        assume(False)
    plan = make_table_plan(inventory, inventory.total, target, how, shape, rounds, start="full")
    (first,) = plan.rounds[0].shares
    if how == "svd":
        most = min(table.rows, table.cols)
        assert first == Share(table.name, most, table.rows * most, table.cols * most)
    else:
        assert first == MaskShare(table.name, table.size)
    assert plan.rounds[-1] == usual.rounds[-1]
    assert len(plan.rounds) == rounds
    assert _never_rises(plan)
