"""The deciding metric as a function of units: what intervals and paired tests are made of."""

import numpy as np
import pytest
from heads.drawn import CASES, UNITS, whole

from lada.heads.kinds import KINDS
from lada.report.bootstrap import bootstrap_interval

SHARES = ("single_label, accuracy", "spans, exact_match")
"""Cases whose deciding metric is a share of right examples."""


def test_every_kind_has_a_case() -> None:
    assert {case.split(", ")[0] for case in CASES} == set(KINDS)


@pytest.mark.parametrize("case", CASES)
def test_the_statistic_of_any_units_is_the_score_of_their_examples(case: str) -> None:
    """Those drawn several times included, as a bootstrap draws them."""
    found = whole(case)
    name = found.head.deciding.name
    assert case == f"{found.head.name}, {name}"
    units, score = found.units(), found.score()[name]
    assert len(units) == UNITS
    statistic = found.head.statistic(units)
    assert statistic(np.arange(UNITS)) == pytest.approx(score, abs=1e-6)
    index = np.random.default_rng(0).integers(UNITS, size=UNITS)
    part = CASES[case](index, 0.5, 0).score()[name]
    assert part != score
    assert statistic(index) == pytest.approx(part, abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_which_units_are_right(case: str) -> None:
    found = whole(case)
    right = found.head.correct(found.units())
    if case in SHARES:
        assert right is not None
        assert right.mean() == pytest.approx(found.score()[found.head.deciding.name])
    else:
        assert right is None


@pytest.mark.parametrize("case", [name for name in CASES if name not in SHARES])
def test_intervals_of_scores_are_of_the_same_statistic(case: str) -> None:
    found = whole(case)
    low, high = bootstrap_interval(found.head.statistic(found.units()), UNITS, seed=0)
    assert found.score()[f"{found.head.deciding.name}_95"] == [low, high]
    assert low < high
