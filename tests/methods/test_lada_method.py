"""LadaBERT as a method: its plan, its student, its loss."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from lada.config import DistillConfig, RatiosConfig, ScheduleConfig
from lada.errors import LadaError
from lada.heads import head_named
from lada.methods import Context, find_method
from lada.methods.base import Combined
from lada.methods.objectives import FourTerms
from lada.methods.structures import Factorized
from lada.nn.capture import Outputs
from lada.nn.compressed import compressed_layers
from lada.nn.surgery import inventory
from lada.ops.budget import solve_default
from lada.ops.losses import hidden_mse, relation_divergence
from lada.ops.plan import make_plan

WEIGHTS = {"embedding": 0.5, "attention": 2.0, "hidden": 3.0, "prediction": 0.25}
LENGTHS = (5, 3)


def _lada(
    target: float = 4.0,
    rule: str = "solved",
    shape: str = "geometric",
    lower_rank: str = "truncate",
    threshold: str = "factor",
    maps: str = "scores",
    temperature: float = 1.0,
    **weights: float,
) -> Combined:
    structure = Factorized(
        target,
        RatiosConfig(rule=rule),
        ScheduleConfig(shape=shape, rounds=3),
        lower_rank=lower_rank,
        threshold=threshold,
    )
    distill = DistillConfig(maps=maps, temperature=temperature, **{**WEIGHTS, **weights})
    return Combined(structure, FourTerms(distill, head_named("single_label")))


@pytest.fixture
def teacher() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=200, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, initializer_range=0.2,
    )  # fmt: skip
    return BertForSequenceClassification(config).eval().requires_grad_(False)


class TestPlan:
    @pytest.mark.parametrize("shape", ["geometric", "cubic"])
    def test_it_is_that_of_the_config(
        self, teacher: BertForSequenceClassification, shape: str
    ) -> None:
        counted = inventory(teacher)
        plan = _lada(shape=shape).plan(teacher, 3)
        assert plan == make_plan(counted, 4.0, solve_default(counted, 4.0), shape, 3)

    def test_the_paper_s_ratios(self) -> None:
        with torch.device("meta"):
            dense = BertForSequenceClassification(BertConfig(num_labels=3))
        plan = _lada(target=7.5, rule="paper").plan(dense, 8)
        assert (plan.fractions.embedding, plan.fractions.svd) == (0.2, 0.5)
        assert plan.rounds[-1].ratio == pytest.approx(7.5, rel=1e-5)

    @pytest.mark.parametrize("target", [7.0, 1000.0])
    def test_a_target_out_of_reach(
        self, teacher: BertForSequenceClassification, target: float
    ) -> None:
        """At x7 the fractions can be solved, but whole ranks leave no budget."""
        with pytest.raises(LadaError, match=f"x{target:g}"):
            _lada(target=target).plan(teacher, 3)


class TestBuild:
    def test_the_teacher_is_left_be(self, teacher: BertForSequenceClassification) -> None:
        lada = _lada()
        before = {k: v.clone() for k, v in teacher.state_dict().items()}
        student = lada.build(teacher, lada.plan(teacher, 3))
        with torch.no_grad():
            for p in student.parameters():
                p.add_(1.0)
        assert list(teacher.state_dict()) == list(before)
        assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
        assert not compressed_layers(teacher)
        assert not teacher.training
        assert not any(p.requires_grad for p in teacher.parameters())
        assert student.training
        assert all(p.requires_grad for p in student.parameters())

    def test_its_layers_are_the_svd_of_the_teacher_s(
        self, teacher: BertForSequenceClassification
    ) -> None:
        lada = _lada()
        plan = lada.plan(teacher, 3)
        student = lada.build(teacher, plan)
        layers = compressed_layers(student)
        assert set(layers) == {m.name for m in inventory(teacher).matrices}
        for share in plan.rounds[0].shares:
            weight = teacher.get_parameter(f"{share.name}.weight").numpy()
            u, s, vh = np.linalg.svd(weight.astype(np.float64), full_matrices=False)
            best = (u[:, : share.rank] * s[: share.rank]) @ vh[: share.rank]
            layer = layers[share.name]
            assert layer.rank == layer.factor_a.shape[1] == share.rank
            np.testing.assert_allclose(layer.product().detach().numpy(), best, atol=1e-5)
            assert layer.mask_a.all()
            assert layer.mask_b.all()
        rest = {n: p for n, p in student.named_parameters() if ".factor_" not in n}
        for name, p in rest.items():
            assert torch.equal(p, teacher.get_parameter(name))
        assert len(rest) + len(layers) == len(list(teacher.parameters()))

    @pytest.mark.parametrize("threshold", ["factor", "global"])
    @pytest.mark.parametrize("lower_rank", ["truncate", "refactorize"])
    def test_rounds_reach_the_target(
        self, teacher: BertForSequenceClassification, lower_rank: str, threshold: str
    ) -> None:
        lada = _lada(lower_rank=lower_rank, threshold=threshold)
        counted = inventory(teacher)
        plan = lada.plan(teacher, 3)
        student = lada.build(teacher, plan)
        renewed = [lada.compress_(student, r) for r in plan.rounds]
        kept = counted.kept_whole + sum(x.kept for x in compressed_layers(student).values())
        assert kept == plan.rounds[-1].nonzeros
        assert counted.total / kept == pytest.approx(4.0, rel=0.005)
        assert any(renewed) == (lower_rank == "refactorize")
        if lower_rank == "refactorize":
            assert plan.lowerings == [k for k, names in enumerate(renewed) if names]


def _outputs(seed: int) -> Outputs:
    draw = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    return Outputs(
        rand(2, 3),
        tuple(rand(2, 5, 4) for _ in range(3)),
        tuple(rand(2, 2, 5, 5) for _ in range(2)),
    )


def _batch() -> dict[str, Tensor]:
    mask = torch.zeros(2, 5, dtype=torch.int64)
    for i, length in enumerate(LENGTHS):
        mask[i, :length] = 1
    squares = sum(length**2 for length in LENGTHS)
    totals = torch.tensor([float(len(LENGTHS)), float(sum(LENGTHS)), float(squares)])
    return {"attention_mask": mask, "totals": totals}


def _square_mean(student: Tensor, teacher: Tensor, real: Callable[[Tensor, int], Tensor]) -> float:
    """Mean of squares over what ``real`` leaves of each row."""
    parts = [real((s - t) ** 2, n).flatten() for s, t, n in zip(student, teacher, LENGTHS,
                                                               strict=True)]  # fmt: skip
    return torch.cat(parts).mean().item()


def _hidden(student: Tensor, teacher: Tensor) -> float:
    return _square_mean(student, teacher, lambda x, n: x[:n])


def _attention(student: Tensor, teacher: Tensor) -> float:
    return _square_mean(student, teacher, lambda x, n: x[:, :n, :n])


class TestLosses:
    @pytest.mark.parametrize("temperature", [1.0, 2.0])
    def test_the_terms_written_out(self, temperature: float) -> None:
        student, teacher = _outputs(1), _outputs(2)
        terms = _lada(temperature=temperature).losses(student, teacher, _batch(), 0.0)
        assert {name: weight for name, (weight, _) in terms.items()} == WEIGHTS
        values = {name: term.item() for name, (_, term) in terms.items()}
        s, t = student, teacher
        soft = t.logits.softmax(-1)
        expected = {
            "embedding": _hidden(s.hidden[0], t.hidden[0]),
            "hidden": _hidden(s.hidden[1], t.hidden[1]) + _hidden(s.hidden[2], t.hidden[2]),
            "attention": _attention(s.attentions[0], t.attentions[0])
            + _attention(s.attentions[1], t.attentions[1]),
            "prediction": -(soft * (s.logits / temperature).softmax(-1).log()).sum().item() / 2,
        }
        assert values == pytest.approx(expected, rel=1e-5)

    def test_states_in_units_of_the_teacher(self) -> None:
        student, teacher = _outputs(1), _outputs(2)
        distill = DistillConfig(states="relative")
        terms = FourTerms(distill, head_named("single_label")).losses(
            student, teacher, _batch(), 0.0
        )
        mask = _batch()["attention_mask"]
        each = [
            hidden_mse(s, t, mask, relative=True).item()
            for s, t in zip(student.hidden, teacher.hidden, strict=True)
        ]
        assert terms["embedding"][1].item() == pytest.approx(each[0], rel=1e-5)
        assert terms["hidden"][1].item() == pytest.approx(sum(each[1:]), rel=1e-5)

    def test_labels_beside_the_teacher(self) -> None:
        student, teacher = _outputs(1), _outputs(2)
        batch = _batch() | {"labels": torch.tensor([2, -100])}
        distill = DistillConfig(labels=0.3)
        terms = FourTerms(distill, head_named("single_label")).losses(student, teacher, batch, 0.0)
        weight, term = terms["labels"]
        assert weight == 0.3
        assert term.item() == pytest.approx(-student.logits[0].log_softmax(-1)[2].item() / 2)
        with pytest.raises(LadaError, match=r"distill\.labels=0\.3: task\.kind=embedding has no"):
            find_method("lada")().check(Context(target=4.0, kind="embedding", distill=distill))

    def test_a_student_equal_to_its_teacher(self) -> None:
        same = _outputs(1)
        terms = _lada().losses(same, same, _batch(), 0.0)
        for name in ("embedding", "hidden", "attention"):
            assert terms[name][1].item() == 0.0
        soft = same.logits.softmax(-1)
        entropy = -(soft * soft.log()).sum(-1).mean().item()
        assert terms["prediction"][1].item() == pytest.approx(entropy, rel=1e-5)

    @pytest.mark.parametrize("off", ["embedding", "attention", "hidden"])
    def test_a_term_of_weight_0_is_left_out(self, off: str) -> None:
        lada = _lada(**{off: 0.0})
        terms = lada.losses(_outputs(1), _outputs(2), _batch(), 0.0)
        assert set(terms) == set(WEIGHTS) - {off}

    def test_logits_alone_need_nothing_else(self) -> None:
        lada = _lada(embedding=0.0, attention=0.0, hidden=0.0)
        student, teacher = (Outputs(x.logits, (), ()) for x in (_outputs(1), _outputs(2)))
        assert set(lada.losses(student, teacher, _batch(), 0.0)) == {"prediction"}
        assert (lada.maps, lada.hidden) == (None, False)

    @pytest.mark.parametrize(
        ("changes", "maps", "hidden"),
        [
            ({}, "scores", True),
            ({"maps": "probabilities"}, "probabilities", True),
            ({"maps": "values"}, "values", True),
            ({"attention": 0.0}, None, True),
            ({"embedding": 0.0}, "scores", True),
            ({"hidden": 0.0}, "scores", True),
            ({"embedding": 0.0, "hidden": 0.0}, "scores", False),
        ],
        ids=str,
    )
    def test_what_the_loss_needs(
        self, changes: dict[str, Any], maps: str | None, hidden: bool
    ) -> None:
        lada = _lada(**changes)
        assert (lada.maps, lada.hidden) == (maps, hidden)

    def test_half_as_many_layers_learn_from_every_second(self) -> None:
        student, teacher = _outputs(1), _outputs(2)
        short = Outputs(student.logits, student.hidden[:2], student.attentions[:1])
        terms = _lada().losses(short, teacher, _batch(), 0.0)
        hidden = _hidden(student.hidden[1], teacher.hidden[2])
        assert terms["hidden"][1].item() == pytest.approx(hidden, rel=1e-5)
        maps = _attention(student.attentions[0], teacher.attentions[1])
        assert terms["attention"][1].item() == pytest.approx(maps, rel=1e-5)

    def test_value_relations_in_the_place_of_maps(self) -> None:
        student, teacher = (replace(_outputs(n), attentions=_outputs(n).attentions[-1:])
                            for n in (1, 2))  # fmt: skip
        terms = _lada(maps="values").losses(student, teacher, _batch(), 0.0)
        weight, value = terms["attention"]
        mask = _batch()["attention_mask"]
        found = relation_divergence(student.attentions[0], teacher.attentions[0], mask)
        assert weight == WEIGHTS["attention"]
        torch.testing.assert_close(value, found)

    def test_layers_that_do_not_fit_are_refused(self) -> None:
        student, teacher = _outputs(1), _outputs(2)
        short = Outputs(teacher.logits, teacher.hidden[:-1], teacher.attentions[:-1])
        with pytest.raises(ValueError, match="2 layers do not fit a teacher of 1"):
            _lada().losses(student, short, _batch(), 0.0)
