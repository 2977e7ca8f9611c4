"""Plans over rounds: counts, targets, order."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from inventories import BASE, MINILM, TABLE_2, TOY, bert

from lada.ops.budget import (
    BudgetError,
    Fractions,
    Inventory,
    Matrix,
    exact_ratio,
    solve_default,
    solve_fast,
    solve_missing,
    solve_scaled,
)
from lada.ops.plan import Round, Share, make_plan
from lada.ops.schedule import SHAPES


def _fitting(inventory: Inventory) -> bool:
    """Not so small that one rank of the word embeddings is a noticeable share of the encoder."""
    words = next(m for m in inventory.matrices if m.embedding)
    return (words.rows + words.cols) < 0.05 * inventory.encoder


small_berts = st.builds(
    bert,
    vocabulary=st.sampled_from([500, 2000, 8000, 30_522]),
    width=st.sampled_from([32, 64, 128, 312, 384, 768]),
    layers=st.sampled_from([1, 2, 4, 6, 12]),
    inner=st.sampled_from([64, 128, 512, 1536, 3072]),
    positions=st.sampled_from([64, 512]),
).filter(_fitting)


def _check_counts(inventory: Inventory, rounds: tuple[Round, ...], words: float = 1.0) -> None:
    names = [m.name for m in inventory.matrices]
    for round_ in rounds:
        assert [s.name for s in round_.shares] == names
        total = inventory.kept_whole
        for share, m in zip(round_.shares, inventory.matrices, strict=True):
            assert 1 <= share.rank <= min(m.rows, m.cols)
            assert 1 <= share.kept_a <= m.rows * share.rank
            assert 1 <= share.kept_b <= m.cols * share.rank
            assert share.kept == share.kept_a + share.kept_b
            if m.embedding:  # all tokens use B
                assert share.kept_b == m.cols * share.rank
                assert share.kept_a == m.rows * share.rank or words < 1.0
            total += share.kept_a + share.kept_b
        assert round_.nonzeros == total
        assert round_.ratio == inventory.total / total


def _check_never_rises(rounds: tuple[Round, ...]) -> None:
    for before, after in pairwise(rounds):
        assert after.nonzeros <= before.nonzeros
        for s, t in zip(before.shares, after.shares, strict=True):
            assert t.rank <= s.rank
            assert t.kept_a <= s.kept_a
            assert t.kept_b <= s.kept_b


class TestMakePlan:
    @settings(max_examples=120)
    @given(
        inventory=small_berts,
        target=st.floats(1.05, 20.0),
        shape=st.sampled_from(sorted(SHAPES)),
        rounds=st.integers(1, 10),
    )
    def test_default_fractions(
        self, inventory: Inventory, target: float, shape: str, rounds: int
    ) -> None:
        try:
            fractions = solve_default(inventory, target)
            # The smallest models may have no whole-number ranks for it.
            plan = make_plan(inventory, target, fractions, shape, rounds)
        except BudgetError:
            assume(False)
        assert len(plan.rounds) == rounds
        assert (plan.target, plan.total) == (target, inventory.total)
        assert plan.fractions == fractions
        assert plan.rounds[-1].ratio == pytest.approx(target, rel=0.005)
        assert plan.delta == pytest.approx(plan.rounds[-1].ratio ** (-1 / rounds))
        _check_counts(inventory, plan.rounds)
        _check_never_rises(plan.rounds)
        assert make_plan(inventory, target, fractions, shape, rounds) == plan

    @settings(max_examples=60)
    @given(
        inventory=st.sampled_from([BASE, MINILM]),
        embedding=st.floats(0.02, 1.0),
        svd=st.floats(0.1, 1.0),
        density=st.floats(0.1, 1.0),
        shape=st.sampled_from(sorted(SHAPES)),
        rounds=st.integers(1, 6),
    )
    def test_given_fractions(
        self,
        inventory: Inventory,
        embedding: float,
        svd: float,
        density: float,
        shape: str,
        rounds: int,
    ) -> None:
        fractions = Fractions(embedding, svd, density)
        target = exact_ratio(inventory, fractions)
        plan = make_plan(inventory, target, fractions, shape, rounds)
        assert plan.rounds[-1].ratio == pytest.approx(target, rel=0.005)
        _check_counts(inventory, plan.rounds)
        _check_never_rises(plan.rounds)

    @settings(max_examples=60)
    @given(
        inventory=st.sampled_from([BASE, MINILM]),
        embedding=st.floats(0.02, 0.99),
        svd=st.floats(0.11, 0.99),
        density=st.floats(0.11, 0.99),
        missing=st.sampled_from(["embedding", "svd", "density"]),
    )
    def test_the_one_left_out_is_found_again(
        self, inventory: Inventory, embedding: float, svd: float, density: float, missing: str
    ) -> None:
        kept = {"embedding": embedding, "svd": svd, "density": density}
        fractions = Fractions(**kept)
        target = exact_ratio(inventory, fractions)
        del kept[missing]
        solved = solve_missing(inventory, target, **kept)
        assert getattr(solved, missing) == pytest.approx(getattr(fractions, missing), rel=1e-6)

    @pytest.mark.parametrize("row", TABLE_2)
    def test_table_2_on_bert_base(self, row: tuple[float, ...]) -> None:
        target, embedding, svd, _ = row
        fractions = solve_missing(BASE, target, embedding=1 / embedding, svd=1 / svd)
        plan = make_plan(BASE, target, fractions, "geometric", 8)
        last = plan.rounds[-1]
        assert last.ratio == pytest.approx(target, rel=1e-6)
        ranks = {s.name: s.rank for s in last.shares}
        # Eq. 4 by hand: 384 and 614.4 ranks, and 749.15 of the word embeddings, to the nearest.
        assert ranks["0.query"] == math.floor(384 / svd)
        assert ranks["11.up"] == ranks["11.down"] == math.floor(614.4 / svd)
        assert ranks["words"] == round(749.15 / embedding)

    def test_kept_entries_are_spread_in_proportion(self) -> None:
        plan = make_plan(BASE, 7.5, solve_default(BASE, 7.5), "geometric", 1)
        densities = []
        for share, m in zip(plan.rounds[-1].shares, BASE.matrices, strict=True):
            if not m.embedding:
                densities += [
                    share.kept_a / (m.rows * share.rank),
                    share.kept_b / (m.cols * share.rank),
                ]
        assert max(densities) - min(densities) < 1e-4
        # The floored ranks leave a hair more for the density than was solved.
        assert densities[0] == pytest.approx(plan.fractions.density, rel=0.01)

    @pytest.mark.parametrize(
        ("shape", "share"), [("geometric", None), ("linear", 0.5), ("cubic", 0.875)]
    )
    def test_the_middle_round_by_hand(self, shape: str, share: float | None) -> None:
        p = Fractions(0.2, 0.5, 0.2)

        def at_half(final: float) -> float:
            return math.sqrt(final) if share is None else 1 - share * (1 - final)

        plan = make_plan(BASE, exact_ratio(BASE, p), p, shape, 2)
        first = {s.name: s for s in plan.rounds[0].shares}
        words, query, up = first["words"], first["3.query"], first["3.up"]
        assert words.rank == int(30_522 * 768 / 31_290 * at_half(0.2))
        assert (words.kept_a, words.kept_b) == (30_522 * words.rank, 768 * words.rank)
        assert query.rank == int(384 * at_half(0.5))
        assert query.kept_a == query.kept_b == round(768 * query.rank * at_half(0.2))
        assert up.rank == int(614.4 * at_half(0.5))
        assert up.kept_a == round(3072 * up.rank * at_half(0.2))
        assert up.kept_b == round(768 * up.rank * at_half(0.2))

    def test_one_rank_more_where_nothing_is_pruned(self) -> None:
        # x1.5 of bert-base: P_svd = P_hybrid, density 1. No entry may be dropped, and no rank that
        # still fits (1536 entries for the smallest matrices) may be missing.
        plan = make_plan(BASE, 1.5, solve_default(BASE, 1.5), "linear", 3)
        last = plan.rounds[-1]
        for share, m in zip(last.shares, BASE.matrices, strict=True):
            assert share.kept == share.rank * (m.rows + m.cols)
        assert 0 <= round(BASE.total / 1.5) - last.nonzeros < 1536

    def test_toy_by_hand(self) -> None:
        # x3 keeps 700: 100 whole, the table at rank 4 (0.4 * 9.09 = 3.64) 440, 160 for the encoder:
        # rank 5 (0.5 * 11.1) makes four factors of 125, 100, 100, 125 entries, 450 in all.
        plan = make_plan(TOY, 3.0, Fractions(0.4, 0.5, 0.4), "geometric", 1)
        (last,) = plan.rounds
        assert [s.rank for s in last.shares] == [4, 5, 5]
        assert (last.shares[0].kept_a, last.shares[0].kept_b) == (400, 40)
        kept = [k for s in last.shares[1:] for k in (s.kept_a, s.kept_b)]
        # 160 / 450 of each is 44.4, 35.6, 35.6, 44.4; the two left over go to the largest.
        assert kept == [45, 35, 35, 45]
        assert last.nonzeros == 700
        assert last.ratio == 3.0

    @pytest.mark.parametrize("rounds", [0, -1])
    def test_no_rounds(self, rounds: int) -> None:
        with pytest.raises(ValueError, match=f"{rounds} rounds are not possible"):
            make_plan(TOY, 3.0, Fractions(0.4, 0.5, 0.4), "geometric", rounds)

    def test_an_unknown_shape(self) -> None:
        with pytest.raises(ValueError, match="square"):
            make_plan(TOY, 3.0, Fractions(0.4, 0.5, 0.4), "square", 2)

    def test_a_model_too_small_for_its_ranks(self) -> None:
        # Rank 1 of the table is 1010 entries, more than x3 leaves.
        words = Inventory((Matrix("words", 1000, 10, True), Matrix("a", 20, 20)), {"rest": 100})
        with pytest.raises(
            BudgetError, match=r"x12 is out of reach; the largest is x9.44"
        ) as caught:
            make_plan(words, 12.0, Fractions(0.05, 0.5, 0.4), "geometric", 2)
        assert caught.value.part == "density"


class TestFast:
    @pytest.mark.parametrize("inventory", [BASE, MINILM])
    @pytest.mark.parametrize("target", [2.5, 5.0, 7.5, 10.0])
    def test_all_of_the_budget_goes_to_ranks_of_whole_blocks(
        self, inventory: Inventory, target: float
    ) -> None:
        plan = make_plan(inventory, target, solve_fast(inventory, target), "geometric", 4, 16)
        last = plan.rounds[-1]
        assert target <= last.ratio < 1.01 * target
        for share, m in zip(last.shares, inventory.matrices, strict=True):
            assert share.kept == (m.rows + m.cols) * share.rank  # nothing is dropped
            assert m.embedding or share.rank % 16 == 0
        _check_counts(inventory, plan.rounds)
        _check_never_rises(plan.rounds)
        # Shares of the full rank differ by two blocks at most: no matrix pays for another.
        encoder = [(s.rank, m) for s, m in zip(last.shares, inventory.matrices, strict=True)
                   if not m.embedding]  # fmt: skip
        low = min(rank / m.full_rank for rank, m in encoder)
        assert all((rank - 32) / m.full_rank <= low + 1e-9 for rank, m in encoder)

    @settings(max_examples=60)
    @given(
        inventory=st.sampled_from([BASE, MINILM]),
        target=st.floats(2.1, 12.0),
        round_to=st.sampled_from([1, 8, 16]),
    )
    @example(inventory=MINILM, target=6.0, round_to=1)
    @example(inventory=MINILM, target=2.4, round_to=16)
    def test_nothing_is_dropped_at_any_target(
        self, inventory: Inventory, target: float, round_to: int
    ) -> None:
        fractions = solve_fast(inventory, target)
        plan = make_plan(inventory, target, fractions, "geometric", 3, round_to)
        _check_counts(inventory, plan.rounds)
        _check_never_rises(plan.rounds)
        assert plan.rounds[-1].ratio >= target * (1 - 1e-6)
        for share, m in zip(plan.rounds[-1].shares, inventory.matrices, strict=True):
            assert share.kept == (m.rows + m.cols) * share.rank

    @settings(max_examples=60)
    @given(
        inventory=st.sampled_from([BASE, MINILM]),
        target=st.floats(1.5, 15.0),
        round_to=st.sampled_from([4, 8, 16, 32]),
    )
    def test_with_masks_the_target_is_met_as_before(
        self, inventory: Inventory, target: float, round_to: int
    ) -> None:
        fractions = solve_default(inventory, target)
        plan = make_plan(inventory, target, fractions, "geometric", 3, round_to)
        assert plan.rounds[-1].ratio == pytest.approx(target, rel=0.005)
        _check_counts(inventory, plan.rounds)
        _check_never_rises(plan.rounds)
        for share, m in zip(plan.rounds[-1].shares, inventory.matrices, strict=True):
            assert m.embedding or share.rank % round_to == 0

    def test_matrices_smaller_than_a_block_keep_their_rank(self) -> None:
        fractions = Fractions(0.5, 0.5, 0.5)
        toy = make_plan(TOY, exact_ratio(TOY, fractions), fractions, "geometric", 1, 16)
        whole = make_plan(TOY, exact_ratio(TOY, fractions), fractions, "geometric", 1, 1)
        assert [s.rank for s in toy.rounds[0].shares] == [s.rank for s in whole.rounds[0].shares]


def _spectra(inventory: Inventory, seed: int) -> dict[str, torch.Tensor]:
    """Powers of the number of the direction, steeper or flatter."""
    steep = torch.rand(len(inventory.matrices), generator=torch.Generator().manual_seed(seed))
    out = {}
    for m, power in zip(inventory.matrices, steep.tolist(), strict=True):
        found = torch.arange(1.0, m.least_side + 1).double() ** (-2 * power)
        out[m.name] = m.size * found / found.sum()
    return out


class TestPrunedWords:
    """The factor A of the word embeddings has a density of its own."""

    @settings(max_examples=60)
    @given(
        inventory=st.sampled_from([BASE, MINILM]),
        target=st.floats(2.0, 20.0),
        solve=st.sampled_from([solve_default, solve_scaled]),
        words=st.floats(0.05, 1.0),
        shape=st.sampled_from(sorted(SHAPES)),
        start=st.sampled_from(["compressed", "full"]),
    )
    def test_the_target_is_met_and_no_count_rises(
        self,
        inventory: Inventory,
        target: float,
        solve: Callable[[Inventory, float], Fractions],
        words: float,
        shape: str,
        start: str,
    ) -> None:
        fractions = replace(solve(inventory, target), words=words)
        plan = make_plan(inventory, target, fractions, shape, 4, start=start)
        _check_counts(inventory, plan.rounds, words)
        _check_never_rises(plan.rounds)
        assert plan.rounds[-1].ratio == pytest.approx(target, rel=0.005)

    def test_a_lower_density_has_a_higher_rank_and_as_many_entries(self) -> None:
        found = {}
        for words in (1.0, 0.5, 0.25):
            fractions = replace(solve_default(MINILM, 7.5), words=words)
            share = make_plan(MINILM, 7.5, fractions, "geometric", 1).rounds[-1].shares[0]
            assert isinstance(share, Share)
            found[words] = share
        # P_embd is 0.11594, which is 1,358,869 entries; a direction has 30,522 d + 384.
        ranks = {words: share.rank for words, share in found.items()}
        assert ranks == {1.0: 44, 0.5: 87, 0.25: 170}
        assert found[0.25].kept_a == round(0.25 * 170 * 30_522)
        for share in found.values():
            assert share.kept == pytest.approx(found[1.0].kept, rel=0.015)

    def test_no_rank_is_above_the_largest(self) -> None:
        fractions = Fractions(0.5, 0.5, 0.4, words=0.1)  # which would have a rank of 1,700
        target = exact_ratio(MINILM, fractions)
        plan = make_plan(MINILM, target, fractions, "geometric", 1)
        table = plan.rounds[-1].shares[0]
        assert isinstance(table, Share)
        assert table.rank == 384
        assert table.kept == pytest.approx(0.5 * MINILM.embedding, rel=1e-3)

    def test_what_the_encoder_cannot_use_goes_to_the_words(self) -> None:
        spectra = {m.name: torch.arange(float(m.least_side), 0.0, -1.0) for m in MINILM.matrices}
        fractions = Fractions(0.5, 0.5, 0.4, words=0.01)
        plan = make_plan(MINILM, 1.0, fractions, "geometric", 2, spectra=spectra)
        words, *encoder = plan.rounds[-1].shares
        assert all(
            s.kept == (m.rows + m.cols) * m.least_side
            for s, m in zip(encoder, MINILM.matrices[1:], strict=True)
        )
        assert plan.rounds[-1].ratio == pytest.approx(1.0)
        assert words.kept < 0.7 * MINILM.embedding


class TestSpectra:
    @settings(max_examples=60)
    @given(
        inventory=st.sampled_from([BASE, MINILM]),
        seed=st.integers(0, 100),
        target=st.floats(1.05, 20.0),
        solve=st.sampled_from([solve_default, solve_scaled, solve_fast]),
        shape=st.sampled_from(sorted(SHAPES)),
        rounds=st.integers(1, 8),
        round_to=st.sampled_from([1, 8, 16]),
        start=st.sampled_from(["compressed", "full"]),
        words=st.sampled_from([1.0, 0.4, 0.1]),
    )
    def test_the_target_is_met_and_no_count_rises(
        self,
        inventory: Inventory,
        seed: int,
        target: float,
        solve: Callable[[Inventory, float], Fractions],
        shape: str,
        rounds: int,
        round_to: int,
        start: str,
        words: float,
    ) -> None:
        rounds = max(rounds, 2) if start == "full" else rounds
        how: dict[str, Any] = {"start": start, "spectra": _spectra(inventory, seed)}
        given = replace(solve(inventory, target), words=words)
        plan = make_plan(inventory, target, given, shape, rounds, round_to, **how)
        assert plan.spectral and len(plan.rounds) == rounds
        last = plan.rounds[-1]
        if given.density < 1.0:
            assert last.ratio == pytest.approx(target, rel=0.005)
        else:  # nothing is pruned, so that less than a block of ranks is left over
            assert target * (1 - 1e-6) <= last.ratio < 1.03 * target
        _check_counts(inventory, plan.rounds, words)
        _check_never_rises(plan.rounds)
        for share, m in zip(last.shares, inventory.matrices, strict=True):
            assert (
                m.embedding
                or share.rank % round_to == 0
                or share.rank < round_to
                or share.rank == m.least_side
            )
        assert plan.fractions is not None
        assert exact_ratio(inventory, plan.fractions) == pytest.approx(last.ratio)
        if start == "full":
            assert [s.rank for s in plan.rounds[0].shares] == [
                m.least_side for m in inventory.matrices
            ]
        assert make_plan(inventory, target, given, shape, rounds, round_to, **how) == plan

    def test_equal_spectra_make_equal_ranks_of_equal_matrices(self) -> None:
        spectra = {m.name: torch.arange(m.least_side, 0.0, -1.0) for m in BASE.matrices}
        plan = make_plan(BASE, 5.0, solve_fast(BASE, 5.0), "geometric", 1, spectra=spectra)
        ranks = {s.name: s.rank for s in plan.rounds[-1].shares}
        square = [ranks[m.name] for m in BASE.matrices if (m.rows, m.cols) == (768, 768)]
        assert max(square) - min(square) <= 1
        assert ranks["words"] == 1  # 31,290 parameters for what 1,536 buy elsewhere

    def test_a_steep_matrix_gets_less(self) -> None:
        spectra = {m.name: torch.ones(m.least_side) for m in MINILM.matrices}
        spectra["0.query"] = 100 * 0.5 ** torch.arange(384.0)
        plan = make_plan(MINILM, 4.0, solve_fast(MINILM, 4.0), "geometric", 1, spectra=spectra)
        ranks = {s.name: s.rank for s in plan.rounds[-1].shares}
        assert ranks["0.query"] == 7  # 100 / 2^7 is less than 1

    def test_the_budget_may_be_too_small(self) -> None:
        words = Inventory((Matrix("words", 100, 10, True), Matrix("a", 60, 60)), {"rest": 100})
        spectra = {"words": torch.ones(10), "a": torch.ones(60)}
        with pytest.raises(BudgetError, match=r"x20 is out of reach; the largest is x1"):
            make_plan(words, 20.0, Fractions(0.1, 0.5, 0.5), "geometric", 2, spectra=spectra)
