"""From ratios to counts, against numbers worked out by hand and the published settings."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from inventories import BASE, MINILM, TABLE_2, TOY
from transformers import BertConfig, BertForSequenceClassification

from lada.nn.surgery import inventory as count_model
from lada.ops.budget import (
    LEAST_KEPT,
    BudgetError,
    Fractions,
    Inventory,
    Matrix,
    exact_ratio,
    floored_ratio,
    literal_ratio,
    solve_default,
    solve_missing,
)
from lada.ops.plan import make_plan


def _meta(**config: int) -> Inventory:
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(**config))
    assert all(p.is_meta for p in model.parameters())
    return count_model(model)


@pytest.fixture(scope="module")
def real_base() -> Inventory:
    return _meta(num_labels=3)


@pytest.fixture(scope="module")
def real_minilm() -> Inventory:
    return _meta(num_labels=2, hidden_size=384, num_hidden_layers=6, intermediate_size=1536)


def _shape(inventory: Inventory) -> list[tuple[int, int, bool]]:
    return [(m.rows, m.cols, m.embedding) for m in inventory.matrices]


class TestInventory:
    def test_bert_base_by_hand(self) -> None:
        assert BASE.embedding == 23_440_896
        assert BASE.encoder == 84_934_656
        assert BASE.kept_whole == 1_108_995
        assert BASE.total == 109_484_547

    def test_minilm_by_hand(self) -> None:
        assert MINILM.embedding == 11_720_448
        assert MINILM.encoder == 10_616_832
        assert MINILM.kept_whole == 376_706
        assert MINILM.total == 22_713_986
        assert MINILM.embedding / MINILM.total == pytest.approx(0.52, abs=0.005)

    def test_the_real_models_count_the_same(
        self, real_base: Inventory, real_minilm: Inventory
    ) -> None:
        for real, hand in ((real_base, BASE), (real_minilm, MINILM)):
            assert real.whole == hand.whole
            assert sorted(_shape(real)) == sorted(_shape(hand))
            assert real.total == hand.total

    def test_ranks_by_eq_3_and_4(self) -> None:
        square, tall = Matrix("s", 768, 768), Matrix("t", 3072, 768)
        assert square.full_rank == 384.0
        assert tall.full_rank == 614.4
        assert (square.rank(1.0), square.rank(0.5), tall.rank(0.5)) == (384, 192, 307)
        assert (square.rank(1 / 3), square.rank(1e-6)) == (128, 1)
        assert tall.rank(0.4) == 245  # 245.76
        assert Matrix("words", 30_522, 768).rank(1.0) == 749  # 749.15
        assert Matrix("row", 1, 10).rank(1.0) == 1  # 10 / 11, and never below 1
        # 320 * (1 - 0.8 * 3 / 4) is 128, and in floating point a hair less.
        assert Matrix("wide", 640, 640).rank(1 - (1 - 0.2) * 0.75) == 128

    def test_what_remains_at_a_density(self) -> None:
        layer, words = Matrix("a", 30, 10), Matrix("words", 30, 10, embedding=True)
        assert (layer.direction(), layer.direction(0.5)) == (40, 20)
        assert (words.direction(), words.direction(0.5)) == (40, 25)  # B is whole
        assert (layer.kept(4, 0.5), words.kept(4, 0.5)) == ((60, 20), (60, 40))
        assert (layer.kept(1, 0.01), words.kept(1, 0.01)) == ((1, 1), (1, 10))
        # Of 300 entries 150 remain: 40 r, or 25 r.
        assert (words.rank(0.5), words.rank(0.5, 0.5)) == (3, 6)

    def test_eq_6(self) -> None:
        assert Fractions(1.0, 0.5, 0.25).hybrid == 0.125


class TestPublishedRatios:
    """The three readings of Eq. 7 on bert-base with three classes."""

    @pytest.mark.parametrize(
        ("row", "expected"), list(zip(TABLE_2, (2.459, 4.434, 7.212, 9.436), strict=True))
    )
    def test_literal(self, row: tuple[float, ...], expected: float) -> None:
        _, embedding, svd, pruning = row
        fractions = Fractions(1 / embedding, 1 / svd, 1 / pruning)
        # All of the embedding module: three tables and a LayerNorm. All of the 12 layers: matrices,
        # biases and two LayerNorms each. The head: pooler and classifier.
        embeddings = 23_440_896 + 393_216 + 1_536 + 1_536
        layers = 84_934_656 + 82_944 + 36_864
        head = 590_592 + 2_307
        assert embeddings + layers + head == 109_484_547
        assert literal_ratio(embeddings, layers, head, fractions) == pytest.approx(
            expected, abs=5e-4
        )

    @pytest.mark.parametrize(
        ("row", "expected"), list(zip(TABLE_2, (2.448, 4.380, 7.016, 9.100), strict=True))
    )
    def test_exact(self, row: tuple[float, ...], expected: float, real_base: Inventory) -> None:
        fractions = Fractions(*(1 / x for x in row[1:]))
        assert exact_ratio(BASE, fractions) == pytest.approx(expected, abs=5e-4)
        assert exact_ratio(real_base, fractions) == pytest.approx(expected, abs=5e-4)

    @pytest.mark.parametrize(
        ("row", "expected"), list(zip(TABLE_2, (2.450, 4.383, 7.030, 9.136), strict=True))
    )
    def test_floored(self, row: tuple[float, ...], expected: float, real_base: Inventory) -> None:
        fractions = Fractions(*(1 / x for x in row[1:]))
        assert floored_ratio(BASE, fractions) == pytest.approx(expected, abs=5e-4)
        assert floored_ratio(real_base, fractions) == pytest.approx(expected, abs=5e-4)

    def test_nothing_dropped(self) -> None:
        whole = Fractions(1.0, 1.0, 1.0)
        assert exact_ratio(BASE, whole) == 1.0
        assert literal_ratio(7, 11, 13, whole) == 1.0

    def test_toy_by_hand(self) -> None:
        # Exact: 0.5 * 1000 + 0.5 * 0.4 * 1000 + 100 = 800.
        fractions = Fractions(0.5, 0.5, 0.4)
        assert exact_ratio(TOY, fractions) == pytest.approx(2100 / 800)
        # Floored: rank 4 (4.545) of 110 entries; rank 5 (5.55) of 45 entries twice, 40 % kept.
        assert floored_ratio(TOY, fractions) == pytest.approx(2100 / (440 + 2 * 5 * 45 * 0.4 + 100))


class TestSolveDefault:
    @pytest.mark.parametrize("target", [2.5, 5.0, 7.5, 10.0])
    @pytest.mark.parametrize("inventory", [BASE, MINILM], ids=["bert-base", "minilm"])
    def test_meets_the_paper_s_targets(self, inventory: Inventory, target: float) -> None:
        fractions = solve_default(inventory, target)
        assert exact_ratio(inventory, fractions) == pytest.approx(target, rel=1e-9)
        assert fractions.svd == 0.5
        assert 0 < fractions.density < 1
        proportion = math.sqrt(inventory.encoder / inventory.embedding)
        assert fractions.embedding / fractions.hybrid == pytest.approx(proportion, rel=1e-9)

    def test_proportions_of_the_two_models(self) -> None:
        on_base, on_minilm = solve_default(BASE, 5.0), solve_default(MINILM, 5.0)
        assert on_base.embedding / on_base.hybrid == pytest.approx(1.9035, abs=1e-4)
        assert on_minilm.embedding / on_minilm.hybrid == pytest.approx(0.9518, abs=1e-4)

    def test_a_capped_word_embeddings_leaves_the_rest_to_the_encoder(self) -> None:
        # x1.25 keeps 87,587,637.6; less the whole 1,108,995 and the table 23,440,896.
        fractions = solve_default(BASE, 1.25)
        assert fractions.embedding == 1.0
        assert fractions.hybrid == pytest.approx(63_037_746.6 / 84_934_656, rel=1e-9)
        assert fractions.svd == fractions.hybrid
        assert fractions.density == 1.0

    def test_a_capped_encoder_leaves_the_rest_to_the_word_embeddings(self) -> None:
        # 10,000 word entries, 200 in the encoder: the encoder's fraction would be above 1.
        words = Inventory((Matrix("words", 1000, 10, True), Matrix("a", 20, 10)), {"rest": 100})
        fractions = solve_default(words, 2.0)
        assert (fractions.svd, fractions.density) == (1.0, 1.0)
        assert fractions.embedding == pytest.approx((10_300 / 2 - 100 - 200) / 10_000)

    def test_no_compression(self) -> None:
        fractions = solve_default(BASE, 1.0)
        assert fractions.embedding == pytest.approx(1.0)
        assert fractions.hybrid == pytest.approx(1.0)

    @pytest.mark.parametrize("target", [0.99, 0.0, -3.0, float("nan")])
    def test_a_larger_model_is_rejected(self, target: float) -> None:
        with pytest.raises(BudgetError, match="enlarges the model") as caught:
            solve_default(BASE, target)
        assert (caught.value.part, caught.value.reach) == ("none", 1.0)

    @pytest.mark.parametrize("inventory", [BASE, MINILM, TOY], ids=["bert-base", "minilm", "toy"])
    @pytest.mark.parametrize("target", [99.0, 1e6, float("inf")])
    def test_the_largest_target_is_named(self, inventory: Inventory, target: float) -> None:
        with pytest.raises(BudgetError, match="is out of reach") as caught:
            solve_default(inventory, target)
        reach = caught.value.reach
        assert caught.value.part == "none"
        assert f"the largest is x{math.floor(reach * 100) / 100:.2f}" in str(caught.value)
        at_the_end = solve_default(inventory, reach * (1 - 1e-9))
        assert min(at_the_end.embedding, at_the_end.hybrid) == pytest.approx(LEAST_KEPT, rel=1e-6)
        with pytest.raises(BudgetError):
            solve_default(inventory, reach * 1.01)


# TOY at x3: 700 entries are kept, 600 by the matrices.
SOLVED = [
    ({"svd": 0.5, "density": 0.6}, Fractions(0.3, 0.5, 0.6)),  # 600 - 0.3 * 1000
    ({"embedding": 0.4, "density": 0.25}, Fractions(0.4, 0.8, 0.25)),  # (600 - 400) / 250
    ({"embedding": 0.4, "svd": 0.5}, Fractions(0.4, 0.5, 0.4)),  # (600 - 400) / 500
]


class TestSolveMissing:
    @pytest.mark.parametrize(("given_", "expected"), SOLVED)
    def test_by_hand(self, given_: dict[str, float], expected: Fractions) -> None:
        got = solve_missing(TOY, 3.0, **given_)
        assert (got.embedding, got.svd, got.density) == pytest.approx(
            (expected.embedding, expected.svd, expected.density), rel=1e-12
        )
        assert exact_ratio(TOY, got) == pytest.approx(3.0, rel=1e-12)

    def test_three_that_make_the_target(self) -> None:
        kept = {"embedding": 0.4, "svd": 0.5, "density": 0.4}
        assert solve_missing(TOY, 3.0, **kept) == Fractions(0.4, 0.5, 0.4)
        # Within one percent of the target, on both sides, they are taken as they are.
        assert solve_missing(TOY, 3.0 / 1.0098, **kept) == Fractions(0.4, 0.5, 0.4)
        assert solve_missing(TOY, 3.0 / 0.9902, **kept) == Fractions(0.4, 0.5, 0.4)

    @pytest.mark.parametrize("target", [3.0 / 1.0102, 3.0 / 0.9898, 10.0, 1.0])
    def test_three_that_miss_the_target(self, target: float) -> None:
        with pytest.raises(BudgetError, match=r"make x3\.000, the target is x") as caught:
            solve_missing(TOY, target, embedding=0.4, svd=0.5, density=0.4)
        assert caught.value.part == "all"
        assert caught.value.reach == pytest.approx(3.0)

    def test_the_tolerance_can_be_set(self) -> None:
        kept = {"embedding": 0.4, "svd": 0.5, "density": 0.4}
        assert solve_missing(TOY, 3.2, **kept, tolerance=0.07).svd == 0.5
        with pytest.raises(BudgetError):
            solve_missing(TOY, 3.01, **kept, tolerance=0.001)

    @pytest.mark.parametrize("row", TABLE_2)
    def test_the_published_ratios_do_not_make_their_targets(self, row: tuple[float, ...]) -> None:
        target, embedding, svd, pruning = row
        kept = {"embedding": 1 / embedding, "svd": 1 / svd}
        with pytest.raises(BudgetError, match="the three ratios make"):
            solve_missing(BASE, target, **kept, density=1 / pruning)
        solved = solve_missing(BASE, target, **kept)
        assert exact_ratio(BASE, solved) == pytest.approx(target, rel=1e-9)
        assert solved.density < 1 / pruning

    @pytest.mark.parametrize(
        "given_", [{}, {"svd": 0.5}, {"embedding": 0.5}, {"density": 0.5}], ids=str
    )
    def test_too_few(self, given_: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="two of the three fractions are needed"):
            solve_missing(TOY, 3.0, **given_)

    @pytest.mark.parametrize("name", ["embedding", "svd", "density"])
    @pytest.mark.parametrize("value", [0.0, -0.5, 1.001, float("nan"), float("inf")])
    def test_a_fraction_out_of_range(self, name: str, value: float) -> None:
        kept = {"embedding": 0.4, "svd": 0.5, "density": 0.4, name: value}
        with pytest.raises(ValueError, match=rf"fraction {name} = .* outside") as caught:
            solve_missing(TOY, 3.0, **kept)
        assert not isinstance(caught.value, BudgetError)

    @pytest.mark.parametrize("target", [0.5, float("nan")])
    def test_a_larger_model_is_rejected(self, target: float) -> None:
        with pytest.raises(BudgetError, match="enlarges the model"):
            solve_missing(TOY, target, embedding=0.4, svd=0.5)

    @pytest.mark.parametrize("inventory", [BASE, MINILM, TOY], ids=["bert-base", "minilm", "toy"])
    @pytest.mark.parametrize(
        ("given_", "part"),
        [
            ({"svd": 0.5, "density": 0.2}, "embedding"),
            ({"embedding": 0.2, "density": 0.3}, "svd"),
            ({"embedding": 0.2, "svd": 0.5}, "density"),
            ({"embedding": 1.0, "svd": 1.0}, "density"),
        ],
        ids=["embedding", "svd", "density", "density-dense"],
    )
    @pytest.mark.parametrize("beyond", [1.01, 2.0, 1000.0])
    def test_the_largest_target_is_named(
        self, inventory: Inventory, given_: dict[str, float], part: str, beyond: float
    ) -> None:
        with pytest.raises(BudgetError) as first:
            solve_missing(inventory, 1e9, **given_)
        reach = first.value.reach
        assert f"the largest is x{math.floor(reach * 100) / 100:.2f}" in str(first.value)
        with pytest.raises(BudgetError, match="is out of reach") as caught:
            solve_missing(inventory, reach * beyond, **given_)
        assert caught.value.reach == reach
        if beyond == 1.01:
            assert caught.value.part == part
        solved = solve_missing(inventory, reach * (1 - 1e-9), **given_)
        least = solved.embedding if part == "embedding" else solved.hybrid
        assert least == pytest.approx(LEAST_KEPT, rel=1e-5)

    @pytest.mark.parametrize(
        ("given_", "part", "smallest"),
        [
            # 100 whole, 1000 of the table, 0.5 * 0.4 * 1000 of the encoder
            ({"svd": 0.5, "density": 0.4}, "embedding", 2100 / 1300),
            # P_svd may go up to 1: 100 + 400 + 0.4 * 1000
            ({"embedding": 0.4, "density": 0.4}, "svd", 2100 / 900),
            ({"embedding": 0.4, "svd": 0.5}, "density", 2100 / 1000),
        ],
        ids=["embedding", "svd", "density"],
    )
    def test_the_smallest_target_is_named(
        self, given_: dict[str, float], part: str, smallest: float
    ) -> None:
        with pytest.raises(BudgetError, match="more than all of a part") as caught:
            solve_missing(TOY, 1.2, **given_)
        assert caught.value.part == part
        assert caught.value.reach == pytest.approx(smallest, rel=1e-9)
        at_the_end = solve_missing(TOY, smallest * (1 + 1e-9), **given_)
        assert getattr(at_the_end, part) == pytest.approx(1.0, abs=1e-6)
        with pytest.raises(BudgetError):
            solve_missing(TOY, smallest * 0.99, **given_)

    @settings(max_examples=100)
    @given(embedding=st.floats(0.1, 0.95))
    def test_a_solved_fraction_is_never_above_one(self, embedding: float) -> None:
        # The target at which the encoder stays exactly whole.
        target = MINILM.total / (376_706 + embedding * 11_720_448 + 10_616_832)
        fractions = solve_missing(MINILM, target, embedding=embedding, svd=1.0)
        assert fractions.density == pytest.approx(1.0)
        assert fractions.density <= 1.0
        plan = make_plan(MINILM, target, fractions, "linear", 2)
        assert plan.rounds[-1].ratio == pytest.approx(target, rel=0.005)

    @pytest.mark.parametrize("row", TABLE_2)
    def test_the_published_ratios_on_minilm(self, row: tuple[float, ...]) -> None:
        target, embedding, svd, _ = row
        kept = {"embedding": 1 / embedding, "svd": 1 / svd}
        if target in (5.0, 10.0):
            with pytest.raises(BudgetError, match="is out of reach") as caught:
                solve_missing(MINILM, target, **kept)
            assert caught.value.part == "density"
            assert caught.value.reach < target
            # The table alone is more than the whole target.
            assert MINILM.embedding / embedding > 0.95 * (MINILM.total / target - 376_706)
        else:
            solved = solve_missing(MINILM, target, **kept)
            assert exact_ratio(MINILM, solved) == pytest.approx(target, rel=1e-9)
