"""Plans that prune matrices as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventories import bert, bert_base

from lada.ops.budget import BudgetError, Inventory
from lada.ops.plan import make_mask_plan

BERT_BASE, MINILM_L6 = bert_base(), bert(30_522, 384, 6, 1536)


@pytest.mark.parametrize("inventory", [BERT_BASE, MINILM_L6])
@given(
    target=st.floats(1.5, 10.0),
    rounds=st.integers(1, 12),
    shape=st.sampled_from(["geometric", "linear", "cubic"]),
)
def test_the_target_binds_and_no_count_rises(
    inventory: Inventory, target: float, rounds: int, shape: str
) -> None:
    plan = make_mask_plan(inventory, target, shape, rounds)
    assert len(plan.rounds) == rounds
    assert plan.rounds[-1].ratio == pytest.approx(target, rel=1e-5)
    sizes = {m.name: m.size for m in inventory.matrices}
    for round_ in plan.rounds:
        assert [s.name for s in round_.shares] == list(sizes)
        assert round_.nonzeros == inventory.kept_whole + sum(s.kept for s in round_.shares)
        assert all(1 <= s.kept <= sizes[s.name] for s in round_.shares)
    for one, after in zip(plan.rounds, plan.rounds[1:], strict=False):
        for a, b in zip(one.shares, after.shares, strict=True):
            assert a.kept >= b.kept
    # One density for all, the word embeddings included.
    densities = [s.kept / sizes[s.name] for s in plan.rounds[-1].shares]
    assert max(densities) - min(densities) < 1e-4


def test_what_is_out_of_reach() -> None:
    with pytest.raises(BudgetError, match="the largest is x"):
        make_mask_plan(MINILM_L6, 500.0, "geometric", 3)
    with pytest.raises(BudgetError, match="enlarges"):
        make_mask_plan(MINILM_L6, 0.5, "geometric", 3)
    with pytest.raises(ValueError, match="0 rounds"):
        make_mask_plan(MINILM_L6, 5.0, "geometric", 0)
