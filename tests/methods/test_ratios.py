"""The three fractions for a target, by rule, and what is said where they cannot be."""

import re

import pytest

from lada.errors import LadaError
from lada.methods.groups import RatiosConfig
from lada.methods.ratios import TABLE_2, fractions_for
from lada.ops.budget import Fractions, Inventory, Matrix, exact_ratio, solve_default
from lada.ops.random_ratios import draw_fractions, place_fractions


def _layers(count: int, width: int) -> tuple[Matrix, ...]:
    sides = [(width, width)] * 4 + [(4 * width, width), (width, 4 * width)]
    return tuple(Matrix(f"{i}.{j}", *s) for i in range(count) for j, s in enumerate(sides))


BASE = Inventory(
    (Matrix("words", 30_522, 768, True), *_layers(12, 768)), {"rest": 1_108_995}
)  # bert-base, 109,484,547 parameters
MINILM = Inventory(
    (Matrix("words", 30_522, 384, True), *_layers(6, 384)), {"rest": 376_706}
)  # MiniLM-L6, 22,713,986 parameters
# 1000 word entries, 1000 encoder entries, 100 whole.
TOY = Inventory(
    (Matrix("words", 100, 10, True), Matrix("a", 25, 20), Matrix("b", 20, 25)), {"rest": 100}
)


def fractions_by(inventory: Inventory, target: float, rule: str, **given: float) -> Fractions:
    return fractions_for(inventory, target, RatiosConfig(rule=rule, **given))


def _rejected(match: str, *args: object, **kwargs: object) -> str:
    with pytest.raises(LadaError, match=match) as caught:
        fractions_by(*args, **kwargs)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    assert "ratios=solved" in line
    return line


def test_the_models_are_what_they_are_called() -> None:
    assert (BASE.total, MINILM.total, TOY.total) == (109_484_547, 22_713_986, 2_100)


class TestSolved:
    @pytest.mark.parametrize("target", [1.0, 2.5, 3.3, 5.0, 7.5, 10.0, 20.0])
    @pytest.mark.parametrize("inventory", [BASE, MINILM, TOY], ids=["base", "minilm", "toy"])
    def test_any_target(self, inventory: Inventory, target: float) -> None:
        if inventory is TOY and target == 20.0:  # 105 entries, 100 of them whole
            with pytest.raises(LadaError, match=r"^target\.ratio=20: x20 is out of reach"):
                fractions_by(inventory, target, "solved")
            return
        fractions = fractions_by(inventory, target, "solved")
        assert fractions == solve_default(inventory, target)
        assert exact_ratio(inventory, fractions) == pytest.approx(target, rel=1e-9)

    def test_out_of_reach(self) -> None:
        with pytest.raises(LadaError) as caught:
            fractions_by(MINILM, 500.0, "solved")
        found = re.fullmatch(
            r"target\.ratio=500: x500 is out of reach; the largest is x([\d.]+)", str(caught.value)
        )
        assert found is not None
        # What the line names will do, as far as its digits go.
        fractions_by(MINILM, float(found[1]) - 0.01, "solved")
        with pytest.raises(LadaError):
            fractions_by(MINILM, float(found[1]) * 1.01, "solved")

    def test_below_1(self) -> None:
        with pytest.raises(LadaError, match=r"target\.ratio=0\.5: a target of x0\.5 enlarges"):
            fractions_by(MINILM, 0.5, "solved")


class TestFast:
    @pytest.mark.parametrize("target", [2.5, 5.0, 7.5, 10.0])
    @pytest.mark.parametrize("inventory", [BASE, MINILM], ids=["base", "minilm"])
    def test_the_same_target_and_word_table_without_masks(
        self, inventory: Inventory, target: float
    ) -> None:
        fast, solved = (fractions_by(inventory, target, rule) for rule in ("fast", "solved"))
        assert fast.density == 1.0
        assert fast.embedding == solved.embedding
        assert exact_ratio(inventory, fast) == pytest.approx(target, rel=1e-9)


class TestScaled:
    @pytest.mark.parametrize("target", [2.5, 5.0, 7.5, 10.0, 20.0])
    @pytest.mark.parametrize("inventory", [BASE, MINILM], ids=["base", "minilm"])
    def test_the_same_share_of_the_entries_stays(self, inventory: Inventory, target: float) -> None:
        scaled, solved = (fractions_by(inventory, target, rule) for rule in ("scaled", "solved"))
        assert scaled.embedding == solved.embedding
        assert scaled.hybrid == pytest.approx(solved.hybrid, rel=1e-9)
        assert scaled.svd == pytest.approx(min(1.0, 2.5 * solved.hybrid), rel=1e-9)
        assert scaled.density >= 0.4 - 1e-9
        assert exact_ratio(inventory, scaled) == pytest.approx(target, rel=1e-9)

    @pytest.mark.parametrize("pruning", [1.0, 2.0, 4.0])
    def test_a_share_of_ones_own(self, pruning: float) -> None:
        found = fractions_by(BASE, 20.0, "scaled", pruning=pruning)
        assert found.density == pytest.approx(1 / pruning, rel=1e-9)
        assert exact_ratio(BASE, found) == pytest.approx(20.0, rel=1e-9)
        if pruning == 1.0:
            assert found == fractions_by(BASE, 20.0, "fast")

    @pytest.mark.parametrize("key", ["embedding", "svd"])
    def test_no_other_ratios(self, key: str) -> None:
        with pytest.raises(LadaError, match=r"^ratios=scaled: takes ratios\.pruning alone\. Use"):
            fractions_by(BASE, 20.0, "scaled", pruning=2.0, **{key: 2.0})

    def test_out_of_reach(self) -> None:
        with pytest.raises(LadaError, match=r"target\.ratio=500: x500 is out of reach"):
            fractions_by(MINILM, 500.0, "scaled")


class TestRandom:
    def test_a_number_is_a_point(self) -> None:
        assert fractions_by(BASE, 7.5, "random", draw=5) == draw_fractions(BASE, 7.5, 5)

    @pytest.mark.parametrize(("rule", "draw"), [("random", None), ("solved", 0), ("custom", 3)])
    def test_a_number_without_points(self, rule: str, draw: int | None) -> None:
        with pytest.raises(LadaError, match=r"^ratios\.draw=.*: goes with ratios=random"):
            RatiosConfig(rule=rule, draw=draw)

    def test_out_of_reach(self) -> None:
        with pytest.raises(LadaError, match=r"target\.ratio=500: x500 is out of reach"):
            fractions_by(MINILM, 500.0, "random", draw=0)


class TestPoint:
    def test_coordinates_are_a_point(self) -> None:
        found = fractions_by(BASE, 7.5, "point", encoder=0.25, by_rank=0.5)
        assert found == place_fractions(BASE, 7.5, 0.25, 0.5)

    @pytest.mark.parametrize(
        ("rule", "values"),
        [
            ("point", {}),
            ("point", {"encoder": 0.5}),
            ("point", {"by_rank": 0.5}),
            ("solved", {"encoder": 0.5, "by_rank": 0.5}),
        ],
    )
    def test_coordinates_without_a_point(self, rule: str, values: dict[str, float]) -> None:
        with pytest.raises(LadaError, match=r"^ratios\.\w+=.*: goes with ratios=point"):
            RatiosConfig(rule=rule, **values)

    def test_out_of_reach(self) -> None:
        with pytest.raises(LadaError, match=r"target\.ratio=500: x500 is out of reach"):
            fractions_by(MINILM, 500.0, "point", encoder=0.5, by_rank=0.5)


class TestPaper:
    def test_table_2_as_printed(self) -> None:
        assert TABLE_2 == {2.5: (1.43, 2.0), 5.0: (2.05, 2.0), 7.5: (5.0, 2.0), 10.0: (5.0, 2.5)}

    @pytest.mark.parametrize("target", [2.5, 5.0, 7.5, 10.0])
    def test_bert_base(self, target: float) -> None:
        fractions = fractions_by(BASE, target, "paper")
        embedding, svd = TABLE_2[target]
        assert (fractions.embedding, fractions.svd) == (1 / embedding, 1 / svd)
        assert exact_ratio(BASE, fractions) == pytest.approx(target, rel=1e-9)

    @pytest.mark.parametrize("target", [2.5, 7.5])
    def test_minilm_where_it_fits(self, target: float) -> None:
        fractions = fractions_by(MINILM, target, "paper")
        assert exact_ratio(MINILM, fractions) == pytest.approx(target, rel=1e-9)

    @pytest.mark.parametrize("target", [5.0, 10.0])
    def test_minilm_where_the_word_table_is_too_much(self, target: float) -> None:
        line = _rejected(rf"^target\.ratio={target:g}: ", MINILM, target, "paper")
        assert "ratios=paper" in line
        assert "ratios.embedding" in line
        assert "leave one" not in line

    @pytest.mark.parametrize("target", [3.0, 1.0, 7.49, 100.0])
    def test_other_targets(self, target: float) -> None:
        line = _rejected(f"Table 2 has no target x{target:g}", BASE, target, "paper")
        assert "2.5x, 5x, 7.5x or 10x" in line


class TestCustom:
    # TOY at x3 keeps 700 entries, 600 of them in the matrices.
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"svd": 2.0, "pruning": 2.5}, Fractions(0.4, 0.5, 0.4)),
            ({"embedding": 2.5, "pruning": 2.5}, Fractions(0.4, 0.5, 0.4)),
            ({"embedding": 2.5, "svd": 2.0}, Fractions(0.4, 0.5, 0.4)),
            ({"embedding": 2.5, "svd": 2.0, "pruning": 2.5}, Fractions(0.4, 0.5, 0.4)),
            ({"embedding": 2.0, "svd": 1.0}, Fractions(0.5, 1.0, 0.1)),
        ],
    )
    def test_by_hand(self, given: dict[str, float], expected: Fractions) -> None:
        got = fractions_by(TOY, 3.0, "custom", **given)
        assert (got.embedding, got.svd, got.density) == pytest.approx(
            (expected.embedding, expected.svd, expected.density)
        )

    @pytest.mark.parametrize(
        "given", [{}, {"embedding": 2.0}, {"svd": 2.0}, {"pruning": 2.0}], ids=str
    )
    def test_too_few(self, given: dict[str, float]) -> None:
        line = _rejected("^ratios=custom: needs two of", TOY, 3.0, "custom", **given)
        for key in ("ratios.embedding", "ratios.svd", "ratios.pruning"):
            assert key in line

    def test_three_that_miss(self) -> None:
        line = _rejected(
            r"^target\.ratio=4: the three ratios make x3\.000, the target is x4",
            TOY, 4.0, "custom", embedding=2.5, svd=2.0, pruning=2.5,
        )  # fmt: skip
        assert "leave one of the three ratios out" in line

    @pytest.mark.parametrize(
        ("given", "keys"),
        [
            ({"embedding": 2.0, "svd": 2.0}, ["ratios.embedding"]),
            ({"embedding": 2.0, "pruning": 2.0}, ["ratios.embedding"]),
            ({"svd": 2.0, "pruning": 2.0}, ["ratios.svd", "ratios.pruning"]),
        ],
        ids=["pruning", "svd", "embedding"],
    )
    @pytest.mark.parametrize("target", [12.0, 100.0])
    def test_out_of_reach(self, given: dict[str, float], keys: list[str], target: float) -> None:
        """At x12 a little is left beside what stays whole; at x100 nothing."""
        line = _rejected(
            rf"^target\.ratio={target:g}: x{target:g} is out of reach; the largest is x",
            TOY, target, "custom", **given,
        )  # fmt: skip
        # One of the three is left out already.
        assert "leave one of the three" not in line
        for key in keys:
            assert key in line

    def test_more_than_all_of_a_part(self) -> None:
        line = _rejected(r"^target\.ratio=1\.1: ", TOY, 1.1, "custom", embedding=2.0, svd=2.0)
        assert "more than all" in line
        # The word table does not block here: it is what leaves too much.
        assert "takes the budget" not in line


@pytest.mark.parametrize("rule", ["solved", "paper"])
@pytest.mark.parametrize("key", ["embedding", "svd", "pruning"])
def test_ratios_that_a_rule_does_not_take(rule: str, key: str) -> None:
    with pytest.raises(LadaError, match=f"^ratios={rule}: takes no ratios") as caught:
        fractions_by(BASE, 5.0, rule, **{key: 2.0})
    assert "ratios=custom" in str(caught.value)
