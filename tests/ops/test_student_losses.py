"""Terms of the students' losses against plain loops, and the pairing of layers."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lada.ops.losses import (
    cross_entropy,
    distillation,
    logits_mse,
    patient_layers,
    patient_mse,
)

ROWS, CLASSES, LAYERS, WIDTH = 5, 3, 4, 6
TEMPERATURE = 2.5


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _softmax(logits: list[float], temperature: float) -> list[float]:
    weights = [math.exp(x / temperature) for x in logits]
    return [w / sum(weights) for w in weights]


def _hard_loop(student: Tensor, labels: Tensor) -> float:
    rows = zip(student.tolist(), labels.tolist(), strict=True)
    return sum(-math.log(_softmax(s, 1.0)[label]) for s, label in rows) / len(student)


def _soft_loop(student: Tensor, teacher: Tensor, temperature: float = TEMPERATURE) -> float:
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        ours, theirs = _softmax(s, temperature), _softmax(t, temperature)
        total += sum(q * math.log(q / p) for p, q in zip(ours, theirs, strict=True))
    return temperature**2 * total / len(student)


def _mse_loop(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        total += sum((x - y) ** 2 for x, y in zip(s, t, strict=True)) / len(s)
    return total / len(student)


def _patient_loop(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for row in range(student.shape[0]):
        for layer in range(student.shape[1]):
            s, t = student[row, layer].tolist(), teacher[row, layer].tolist()
            long_s, long_t = math.sqrt(sum(x * x for x in s)), math.sqrt(sum(x * x for x in t))
            total += sum((x / long_s - y / long_t) ** 2 for x, y in zip(s, t, strict=True))
    return total / len(student)


def _soft(student: Tensor, teacher: Tensor, count: Tensor | None = None) -> Tensor:
    return distillation(student, teacher, TEMPERATURE, count)


LABELS = torch.tensor([2, 0, 1, 2, 2])
Case = tuple[Callable[..., Tensor], Callable[[Tensor, Tensor], float], Tensor, Tensor]
CASES: dict[str, Case] = {
    "hard": (cross_entropy, _hard_loop, 3 * _random(ROWS, CLASSES, seed=0), LABELS),
    "soft": (
        _soft,
        _soft_loop,
        3 * _random(ROWS, CLASSES, seed=1),
        3 * _random(ROWS, CLASSES, seed=2),
    ),
    "mse": (
        logits_mse,
        _mse_loop,
        3 * _random(ROWS, CLASSES, seed=3),
        3 * _random(ROWS, CLASSES, seed=4),
    ),
    "patient": (
        patient_mse,
        _patient_loop,
        _random(ROWS, LAYERS, WIDTH, seed=5),
        _random(ROWS, LAYERS, WIDTH, seed=6),
    ),
}


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_value_is_the_mean_over_examples(case: Case) -> None:
    loss, loop, student, target = case
    value = loss(student, target)
    assert value.shape == ()
    assert value.dtype is torch.float64
    assert value.item() == pytest.approx(loop(student, target), rel=1e-12)
    single = loss(student.float(), target if target.dtype is torch.int64 else target.float())
    assert single.dtype is torch.float32
    assert single.item() == pytest.approx(loop(student, target), rel=1e-5)


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_parts_of_a_batch_add_up_to_its_mean(case: Case, cut: int) -> None:
    """Unequal parts, each divided by the count of the whole."""
    loss, loop, student, target = case
    count = torch.tensor(float(ROWS))
    parts = [loss(student[h], target[h], count) for h in (slice(None, cut), slice(cut, None))]
    assert float(sum(parts)) == pytest.approx(loop(student, target), rel=1e-12)


def test_bfloat16_is_computed_in_float32(case: Case) -> None:
    loss, loop, student, target = case
    student = student.bfloat16()
    target = target if target.dtype is torch.int64 else target.bfloat16()
    value = loss(student.requires_grad_(), target)
    value.backward()
    assert value.dtype is torch.float32
    # Far closer than bfloat16 itself (2^-8) would come.
    assert value.item() == pytest.approx(loop(student.detach(), target), rel=1e-5)
    assert student.grad is not None
    assert student.grad.dtype is torch.bfloat16


def test_gradient_by_differences(case: Case) -> None:
    loss, loop, student, target = case
    student = student.clone().requires_grad_()
    loss(student, target).backward()
    assert student.grad is not None
    step = 1e-6
    for place in np.ndindex(*student.shape):
        up, down = student.detach().clone(), student.detach().clone()
        up[place] += step
        down[place] -= step
        slope = (loop(up, target) - loop(down, target)) / (2 * step)
        assert float(student.grad[place]) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_shapes_that_do_not_fit_are_rejected() -> None:
    logits, states = torch.zeros(2, 3), torch.zeros(2, 3, 4)
    for other in (torch.zeros(2, 2), torch.zeros(1, 3), torch.zeros(3)):
        with pytest.raises(ValueError, match=r"logits \(2, 3\) and .* differ"):
            distillation(logits, other, 1.0)
        with pytest.raises(ValueError, match=r"logits \(2, 3\) and .* differ"):
            logits_mse(logits, other)
    for labels in (torch.zeros(3), torch.zeros(2, 3), torch.zeros(2, 1), torch.tensor(0)):
        with pytest.raises(ValueError, match=r"are not \(batch, classes\) and \(batch,\)"):
            cross_entropy(logits, labels.long())
    with pytest.raises(ValueError, match=r"are not \(batch, classes\) and \(batch,\)"):
        cross_entropy(states, torch.zeros(2).long())
    for ours, theirs in ((states, states[:1]), (states, states[:, :2]), (logits, logits)):
        with pytest.raises(ValueError, match="batch, layers, width"):
            patient_mse(ours, theirs)
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="is not positive"):
            distillation(logits, logits, temperature)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_of_no_class_is_an_error(label: int) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        cross_entropy(torch.zeros(2, 3), torch.tensor([0, label]))


def test_soft_terms_on_a_known_row() -> None:
    """Teacher 3:1, student undecided; the other way round it is another number."""
    sure, undecided = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    forth = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    back = -math.log(2) - 0.5 * (math.log(0.75) + math.log(0.25))
    assert float(distillation(undecided, sure, 1.0)) == pytest.approx(forth, rel=1e-5)
    assert float(distillation(sure, undecided, 1.0)) == pytest.approx(back, rel=1e-5)
    assert float(distillation(2 * undecided, 2 * sure, 2.0)) == pytest.approx(4 * forth, rel=1e-5)
    assert float(cross_entropy(sure, torch.tensor([1]))) == pytest.approx(math.log(4), rel=1e-6)
    assert float(logits_mse(sure, undecided)) == pytest.approx(math.log(3.0) ** 2 / 2, rel=1e-6)


def test_soft_gradient_is_that_of_the_cross_entropy() -> None:
    student, teacher = _random(4, 3, seed=7).requires_grad_(), _random(4, 3, seed=8)
    distillation(student, teacher, 4.0).backward()
    expected = 4.0 * ((student.detach() / 4).softmax(-1) - (teacher / 4).softmax(-1)) / 4
    torch.testing.assert_close(student.grad, expected)


def test_hot_soft_term_compares_centered_logits() -> None:
    """Hinton et al., Eq. 4: at a high temperature it is half their squared error."""
    student, teacher = _random(6, 3, seed=9), _random(6, 3, seed=10)
    value = float(distillation(student, teacher, 1e4))
    apart = (student - teacher).numpy()
    apart -= apart.mean(1, keepdims=True)
    assert value == pytest.approx((apart**2).mean() / 2, rel=1e-3)


def test_far_logits_stay_finite() -> None:
    far = torch.tensor([[1e4, -1e4]])
    assert float(distillation(far, far, 1.0)) == 0.0
    assert float(distillation(-far, far, 1.0)) == pytest.approx(2e4)
    assert float(cross_entropy(far, torch.tensor([1]))) == pytest.approx(2e4)


logits = st.lists(st.floats(-20, 20), min_size=3, max_size=3)


@settings(max_examples=60)
@given(logits, logits, st.floats(0.5, 20), st.floats(-5, 5))
def test_soft_term_is_a_divergence(
    ours: list[float], theirs: list[float], temperature: float, shift: float
) -> None:
    student, teacher = torch.tensor([ours]).double(), torch.tensor([theirs]).double()
    value = float(distillation(student, teacher, temperature))
    assert value >= -1e-9
    assert float(distillation(teacher, teacher, temperature)) == 0.0
    # A softmax does not see a constant added to all logits.
    moved = float(distillation(student + shift, teacher - shift, temperature))
    assert moved == pytest.approx(value, rel=1e-6, abs=1e-8)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_patient_term_sees_directions_only(seed: int, ours: float, theirs: float) -> None:
    student, teacher = _random(2, 3, 4, seed=seed), _random(2, 3, 4, seed=seed + 1)
    value = float(patient_mse(student, teacher))
    assert 0.0 < value < 4 * 3
    assert float(patient_mse(ours * student, theirs * teacher)) == pytest.approx(value, rel=1e-9)
    assert float(patient_mse(ours * student, student)) == pytest.approx(0.0, abs=1e-12)
    assert float(patient_mse(ours * student, -theirs * student)) == pytest.approx(4 * 3)


@pytest.mark.parametrize(
    ("teacher", "student", "how", "expected"),
    [
        (12, 6, "skip", (2, 4, 6, 8, 10)),  # the paper's four
        (12, 6, "last", (7, 8, 9, 10, 11)),
        (12, 3, "skip", (4, 8)),
        (12, 3, "last", (10, 11)),
        (24, 6, "skip", (4, 8, 12, 16, 20)),
        (12, 2, "skip", (6,)),
        (12, 12, "skip", tuple(range(1, 12))),
        (12, 12, "last", tuple(range(1, 12))),
        (6, 5, "last", (2, 3, 4, 5)),
    ],
)
def test_patient_layers(teacher: int, student: int, how: str, expected: tuple[int, ...]) -> None:
    assert patient_layers(teacher, student, how) == expected


@given(st.integers(-1, 30), st.integers(-1, 32), st.sampled_from(["skip", "last"]))
def test_patient_layers_fit_or_say_what_would(teacher: int, student: int, how: str) -> None:
    fits = 2 <= student <= teacher and (how == "last" or teacher % student == 0)
    if fits:
        layers = patient_layers(teacher, student, how)
        assert len(layers) == student - 1
        assert list(layers) == sorted(set(layers))
        assert layers[0] >= 1
        assert layers[-1] < teacher
        return
    with pytest.raises(ValueError, match=f"of {teacher} by {how}; would do: ") as error:
        patient_layers(teacher, student, how)
    would = str(error.value).partition("would do: ")[2]
    named = [] if would == "none" else [int(x) for x in would.split(", ")]
    assert bool(named) == (teacher >= 2)
    for depth in named:
        assert len(patient_layers(teacher, depth, how)) == depth - 1


def test_patient_layers_by_another_way_are_rejected() -> None:
    with pytest.raises(ValueError, match="not one of skip, last"):
        patient_layers(12, 6, "first")
