"""The width of a student from scratch, against a search through all of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventories import BASE, MINILM, bert

from lada.ops.budget import BudgetError, Inventory
from lada.ops.plan import make_table_plan, table_unit
from lada.ops.shape import ENCODER_SHARE, inner_units, nearest_layers, solve_width

MODELS = {"bert-base": (BASE, 4, 768), "minilm": (MINILM, 3, 384)}
HEADS = 12


def _counter(layers: int):
    return lambda width, inner: bert(30_522, width, layers, inner)


def _solve(name: str, target: float, how: str) -> tuple[int, int, bool]:
    teacher, layers, width = MODELS[name]
    widths = range(HEADS, width + 1, HEADS)
    return solve_width(_counter(layers), teacher.total, target, how, widths)


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [(1, 1), (2, 2), (3, 3), (5, 5), (6, 3), (7, 1), (8, 4), (9, 3), (10, 5), (12, 4), (24, 4)],
)
def test_layers(teacher: int, expected: int) -> None:
    assert nearest_layers(teacher) == expected


def test_of_two_numbers_of_layers_the_smaller() -> None:
    assert nearest_layers(15) == 3


def test_the_published_proportions() -> None:
    assert inner_units(312) == 1200
    published = bert(30_522, 312, 4, 1200)
    assert published.total == 14_350_874
    assert pytest.approx(published.encoder / published.total) == ENCODER_SHARE


@pytest.mark.parametrize("name", sorted(MODELS))
@given(target=st.floats(2.5, 12.0), how=st.sampled_from(["svd", "prune"]))
def test_the_target_is_met_and_no_more(name: str, target: float, how: str) -> None:
    teacher, layers, _ = MODELS[name]
    width, inner, whole = _solve(name, target, how)
    count = _counter(layers)
    counted = count(width, inner)
    plain, wider = (count(w, inner_units(w)).total for w in (width, width + HEADS))
    how = "keep" if whole else how
    plan = make_table_plan(counted, teacher.total, target, how, "geometric", 1)
    assert 0 <= plan.rounds[-1].ratio / target - 1 < 0.001
    assert width % HEADS == 0
    # What was left over is less than a step of the width or a rank takes.
    step = wider - plain if whole else table_unit(counted.word_embeddings, how)
    assert 0 <= counted.total - plain < step


@pytest.mark.parametrize("name", sorted(MODELS))
@given(target=st.floats(2.5, 12.0), how=st.sampled_from(["keep", "svd", "prune"]))
def test_it_is_the_widest(name: str, target: float, how: str) -> None:
    teacher, layers, _ = MODELS[name]
    budget = teacher.total / target

    def allowed(student: Inventory) -> bool:
        if student.total <= budget:
            return True
        # The table gives way, for an encoder that takes no more than its share.
        rest = student.total - student.word_embeddings.size
        room = budget - rest > 0.02 * student.word_embeddings.size
        return how != "keep" and room and student.encoder <= ENCODER_SHARE * budget

    width, inner, whole = _solve(name, target, how)
    count = _counter(layers)
    assert allowed(count(width, inner_units(width)))
    assert not allowed(count(width + HEADS, inner_units(width + HEADS)))
    assert whole == (count(width, inner).total <= budget)
    if how == "keep":
        assert whole
        assert inner == inner_units(width)


def test_bert_base_gives_the_published_width() -> None:
    assert _solve("bert-base", 7.5, "keep") == (312, 1200, True)
    assert _solve("bert-base", 7.5, "svd") == (312, 1298, True)


@pytest.mark.parametrize("how", ["keep", "svd", "prune"])
def test_what_is_out_of_reach(how: str) -> None:
    with pytest.raises(BudgetError, match="the largest is x") as caught:
        _solve("minilm", 1e4, how)
    reach = math.floor(caught.value.reach * 100) / 100
    assert _solve("minilm", reach, how)[0] == HEADS
    with pytest.raises(BudgetError, match=r"the widest student, 384 wide, is x1\.3"):
        _solve("minilm", 1.05, how)
