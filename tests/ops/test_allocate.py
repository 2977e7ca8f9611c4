"""Spectra, and ranks of the least error, against the definition and against all ranks there are."""

from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lada.ops import allocate
from lada.ops.allocate import marginal_ranks, ranks_within, spectrum
from lada.ops.budget import BudgetError, Inventory, Matrix
from lada.ops.factorize import EVEN, Weights, weighted_factors


def drawn(m: int, n: int, seed: int = 0) -> tuple[torch.Tensor, Weights]:
    """A matrix, and weights of its errors."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(m, generator=generator) + 0.1
    inputs = torch.randn(n, 2 * n, generator=generator)
    return torch.randn(m, n, generator=generator), Weights(
        rows, torch.linalg.cholesky(inputs @ inputs.T / n)
    )


class TestSpectrum:
    @pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 6)])
    def test_sums_to_the_error_of_the_factors(self, shape: tuple[int, int]) -> None:
        weight, weights = drawn(*shape)
        assert weights.rows is not None and weights.inputs is not None
        found = spectrum(weight, weights)
        assert found.shape == (min(shape),) and found.dtype == torch.float64
        for rank in range(1, min(shape) + 1):
            a, b = weighted_factors(weight, rank, weights)
            wrong = weights.rows[:, None] * (weight - a @ b.T) @ weights.inputs
            expected = float(wrong.square().sum() / weight.square().mean())
            assert float(found[rank:].sum()) == pytest.approx(expected, rel=1e-4, abs=1e-4)

    def test_with_even_weights_it_sums_to_the_entries(self) -> None:
        weight, _ = drawn(9, 4)
        assert float(spectrum(weight).sum()) == pytest.approx(36)
        assert torch.allclose(spectrum(1000 * weight), spectrum(weight))

    def test_a_tall_matrix_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        weight, weights = drawn(50, 6)
        whole = spectrum(weight, weights), spectrum(weight.T, EVEN)
        monkeypatch.setattr(allocate, "_ROWS", 16)
        for found, expected in zip(
            (spectrum(weight, weights), spectrum(weight.T, EVEN)), whole, strict=True
        ):
            torch.testing.assert_close(found, expected)

    def test_of_little(self) -> None:
        assert spectrum(torch.zeros(3, 2)).tolist() == [0, 0]
        low = spectrum(torch.ones(5, 4))
        assert float(low[0]) == pytest.approx(20) and bool((low >= 0).all())
        with pytest.raises(ValueError, match="a matrix is needed"):
            spectrum(torch.ones(3))


falling = st.lists(st.integers(0, 20), min_size=1, max_size=7).map(
    lambda found: torch.tensor(sorted(found, reverse=True), dtype=torch.float64)
)


class TestMarginalRanks:
    @settings(max_examples=300)
    @given(
        matrices=st.lists(st.tuples(st.integers(1, 6), falling), min_size=1, max_size=4),
        spare=st.integers(0, 60),
        step=st.sampled_from([1, 2, 3]),
        fill=st.booleans(),
    )
    def test_against_all_ranks(
        self, matrices: list[tuple[int, torch.Tensor]], spare: int, step: int, fill: bool
    ) -> None:
        """The best of their own cost; within one block of the best of the budget."""
        costs = [float(cost) for cost, _ in matrices]
        spectra = [spectrum for _, spectrum in matrices]

        def cost_of(ranks: tuple[int, ...]) -> float:
            return sum(cost * rank for cost, rank in zip(costs, ranks, strict=True))

        def error_of(ranks: tuple[int, ...]) -> float:
            return sum(float(s[rank:].sum()) for s, rank in zip(spectra, ranks, strict=True))

        budget = sum(costs) + spare
        steps = [step] * len(costs)
        found = tuple(marginal_ranks(costs, spectra, budget, steps, fill=fill))
        possible = [
            [r for r in range(1, len(s) + 1) if r <= step or r % step == 0 or r == len(s)]
            for s in spectra
        ]
        every = list(product(*possible))
        assert found in every and cost_of(found) <= budget
        best = min(error_of(ranks) for ranks in every if cost_of(ranks) <= budget)
        left = [float(s[rank : rank + step].sum()) for s, rank in zip(spectra, found, strict=True)]
        assert error_of(found) <= best + max(left)
        if fill:
            plain = tuple(marginal_ranks(costs, spectra, budget, steps))
            assert all(a >= b for a, b in zip(found, plain, strict=True))
            more = [
                cost_of(ranks)
                for ranks in every
                if sum(a != b for a, b in zip(ranks, found, strict=True)) == 1
                and all(a >= b for a, b in zip(ranks, found, strict=True))
            ]
            assert all(cost > budget for cost in more)  # no block fits any more
        else:
            own = min(error_of(ranks) for ranks in every if cost_of(ranks) <= cost_of(found))
            assert error_of(found) == own

    @given(
        matrices=st.lists(st.tuples(st.integers(1, 6), falling), min_size=1, max_size=4),
        budgets=st.lists(st.integers(0, 60), min_size=2, max_size=6).map(sorted),
    )
    def test_no_rank_falls_with_the_budget(
        self, matrices: list[tuple[int, torch.Tensor]], budgets: list[int]
    ) -> None:
        costs = [float(cost) for cost, _ in matrices]
        spectra = [spectrum for _, spectrum in matrices]
        found = [marginal_ranks(costs, spectra, sum(costs) + budget) for budget in budgets]
        for less, more in pairwise(found):
            assert all(a <= b for a, b in zip(less, more, strict=True))

    def test_errors(self) -> None:
        with pytest.raises(ValueError, match="one direction of each matrix has 5 parameters"):
            marginal_ranks([2.0, 3.0], [torch.ones(2), torch.ones(2)], 4.9)
        with pytest.raises(ValueError, match="has to fall"):
            marginal_ranks([1.0], [torch.tensor([1.0, 2.0])], 9.0)


def test_a_pruned_direction_costs_less() -> None:
    inventory = Inventory((Matrix("words", 30, 10, True), Matrix("a", 20, 20)), {"rest": 40})
    spectra = {"words": torch.ones(10), "a": torch.ones(20)}
    assert ranks_within(inventory, spectra, 2.0, 140.0, 1.0) == {"words": 2, "a": 1}
    assert ranks_within(inventory, spectra, 2.0, 140.0, 0.5) == {"words": 1, "a": 5}
    # A direction of the words costs 0.25 * 30 + 10 in place of 40.
    assert ranks_within(inventory, spectra, 2.0, 140.0, 1.0, words=0.25) == {"words": 5, "a": 1}
    with pytest.raises(BudgetError, match=r"x2 is out of reach; the largest is x6\.16") as caught:
        ranks_within(inventory, spectra, 2.0, 79.0, 1.0)
    assert caught.value.part == "none"
