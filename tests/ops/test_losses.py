"""Each distillation term against a loop over the real elements alone."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lada.ops.losses import attention_mse, hidden_mse, relation_divergence, soft_cross_entropy

LENGTHS = (5, 2, 3)
BATCH, LENGTH, WIDTH, HEADS = len(LENGTHS), 5, 4, 2
LOWEST = torch.finfo(torch.float32).min
# (student, teacher) at the padding. Two of them differ by more than the largest float.
FILLS = [
    (1e30, -1e30), (LOWEST, LOWEST), (-LOWEST, LOWEST), (float("nan"), 0.0), (0.0, float("nan")),
    (float("inf"), float("-inf")), (float("inf"), float("inf")),
]  # fmt: skip


def _mask(dtype: torch.dtype = torch.int64) -> Tensor:
    mask = torch.zeros(BATCH, LENGTH, dtype=dtype)
    for i, length in enumerate(LENGTHS):
        mask[i, :length] = 1
    return mask


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _hidden_loop(student: Tensor, teacher: Tensor) -> float:
    total, count = 0.0, 0
    for i, length in enumerate(LENGTHS):
        for token in range(length):
            for channel in range(WIDTH):
                total += (
                    float(student[i, token, channel]) - float(teacher[i, token, channel])
                ) ** 2
                count += 1
    return total / count


def _attention_loop(student: Tensor, teacher: Tensor) -> float:
    total, count = 0.0, 0
    for i, length in enumerate(LENGTHS):
        for head in range(HEADS):
            for q in range(length):
                for k in range(length):
                    s, t = float(student[i, head, q, k]), float(teacher[i, head, q, k])
                    total += (s - t) ** 2
                    count += 1
    return total / count


def _padding(shape: tuple[int, ...]) -> Tensor:
    """True where an element belongs to no real token (or pair of tokens)."""
    out = torch.ones(shape, dtype=torch.bool)
    for i, length in enumerate(LENGTHS):
        if len(shape) == 3:
            out[i, :length] = False
        else:
            out[i, :, :length, :length] = False
    return out


Case = tuple[Callable[[Tensor, Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], float],
             tuple[int, ...]]  # fmt: skip
CASES: dict[str, Case] = {
    "hidden": (hidden_mse, _hidden_loop, (BATCH, LENGTH, WIDTH)),
    "attention": (attention_mse, _attention_loop, (BATCH, HEADS, LENGTH, LENGTH)),
}


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_value_is_the_mean_over_real_elements(case: Case) -> None:
    loss, loop, shape = case
    student, teacher = _random(*shape, seed=0), _random(*shape, seed=1)
    value = loss(student, teacher, _mask())
    assert value.shape == ()
    assert value.item() == pytest.approx(loop(student.detach(), teacher), rel=1e-5)
    assert float(loss(student, student, _mask())) == 0.0
    full = torch.ones(BATCH, LENGTH)
    assert float(loss(student, teacher, full)) == pytest.approx(
        float(((student - teacher) ** 2).mean()), rel=1e-5
    )


@pytest.mark.parametrize("fill", FILLS, ids=str)
def test_padding_changes_neither_value_nor_gradient(case: Case, fill: tuple[float, float]) -> None:
    loss, loop, shape = case
    clean = _random(*shape, seed=2).requires_grad_()
    teacher = _random(*shape, seed=3)
    expected = loss(clean, teacher, _mask())
    expected.backward()
    padding = _padding(shape)
    dirty = clean.detach().masked_fill(padding, fill[0]).requires_grad_()
    value = loss(dirty, teacher.masked_fill(padding, fill[1]), _mask())
    value.backward()
    assert torch.equal(value, expected)
    assert value.item() == pytest.approx(loop(dirty.detach(), teacher), rel=1e-5)
    assert dirty.grad is not None
    assert torch.equal(dirty.grad, clean.grad)
    assert bool(torch.isfinite(dirty.grad).all())
    assert bool((dirty.grad[padding] == 0.0).all())
    assert bool((dirty.grad[~padding] != 0.0).all())


def test_gradient_by_hand(case: Case) -> None:
    loss, _, shape = case
    student, teacher = _random(*shape, seed=4).requires_grad_(), _random(*shape, seed=5)
    loss(student, teacher, _mask()).backward()
    real = ~_padding(shape)
    expected = torch.where(real, 2 * (student.detach() - teacher) / real.sum(), 0.0)
    torch.testing.assert_close(student.grad, expected)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float32])
def test_masks_of_any_dtype(case: Case, dtype: torch.dtype) -> None:
    loss, loop, shape = case
    student, teacher = _random(*shape, seed=6), _random(*shape, seed=7)
    value = loss(student, teacher, _mask(dtype))
    assert value.item() == pytest.approx(loop(student.detach(), teacher), rel=1e-5)


@pytest.mark.parametrize("fill", [LOWEST, float("nan")])
def test_bfloat16_is_computed_in_float32(case: Case, fill: float) -> None:
    loss, loop, shape = case
    student = _random(*shape, seed=8).masked_fill(_padding(shape), fill).bfloat16()
    teacher = _random(*shape, seed=9).bfloat16()
    student.requires_grad_()
    value = loss(student, teacher, _mask())
    value.backward()
    assert value.dtype is torch.float32
    # Far closer than bfloat16 itself (2^-8) would come.
    assert value.item() == pytest.approx(loop(student.detach(), teacher), rel=1e-5)
    assert student.grad is not None
    assert student.grad.dtype is torch.bfloat16
    assert bool((student.grad[_padding(shape)] == 0.0).all())


def test_float64_stays_float64(case: Case) -> None:
    loss, loop, shape = case
    student, teacher = _random(*shape, seed=10).double(), _random(*shape, seed=11).double()
    value = loss(student, teacher, _mask())
    assert value.dtype is torch.float64
    assert value.item() == pytest.approx(loop(student.detach(), teacher), rel=1e-13)


def test_shapes_that_differ_are_rejected(case: Case) -> None:
    loss, _, shape = case
    student = torch.zeros(shape)
    for other in (torch.zeros(*shape[:-1], shape[-1] + 1), torch.zeros(1, *shape[1:])):
        with pytest.raises(ValueError, match="differ"):
            loss(student, other, _mask())


def _cross_entropy_loop(student: Tensor, teacher: Tensor, temperature: float) -> float:
    rows = []
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        scaled = [x / temperature for x in s]
        log_sum = math.log(sum(math.exp(x) for x in scaled))
        weights = [math.exp(x) for x in t]
        rows.append(
            -sum(w / sum(weights) * (x - log_sum) for w, x in zip(weights, scaled, strict=True))
        )
    return sum(rows) / len(rows)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0, 10.0])
@pytest.mark.parametrize("classes", [2, 3])
def test_eq_9_by_hand(temperature: float, classes: int) -> None:
    student, teacher = 3 * _random(6, classes, seed=12), 3 * _random(6, classes, seed=13)
    value = soft_cross_entropy(student, teacher, temperature)
    expected = _cross_entropy_loop(student, teacher, temperature)
    assert value.shape == ()
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_eq_9_on_two_known_rows() -> None:
    # Teacher 3:1; student undecided, then 3:1 as well.
    teacher = torch.tensor([[math.log(3.0), 0.0], [math.log(3.0), 0.0]])
    student = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    expected = (math.log(2) - (0.75 * math.log(0.75) + 0.25 * math.log(0.25))) / 2
    assert float(soft_cross_entropy(student, teacher)) == pytest.approx(expected, rel=1e-6)


def test_eq_9_gradient_and_extremes() -> None:
    student, teacher = _random(4, 3, seed=14).requires_grad_(), _random(4, 3, seed=15)
    soft_cross_entropy(student, teacher, 2.0).backward()
    expected = ((student.detach() / 2).softmax(-1) - teacher.softmax(-1)) / 2 / 4
    torch.testing.assert_close(student.grad, expected)
    far = torch.tensor([[1e4, -1e4]])
    assert float(soft_cross_entropy(far, far)) == 0.0
    assert float(soft_cross_entropy(-far, far)) == pytest.approx(2e4)


def test_eq_9_in_bfloat16() -> None:
    student, teacher = _random(6, 3, seed=16).bfloat16(), _random(6, 3, seed=17).bfloat16()
    value = soft_cross_entropy(student, teacher)
    assert value.dtype is torch.float32
    expected = _cross_entropy_loop(student, teacher, 1.0)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_eq_9_rejects() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 2\) differ"):
        soft_cross_entropy(torch.zeros(2, 3), torch.zeros(2, 2))
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="is not positive"):
            soft_cross_entropy(torch.zeros(2, 3), torch.zeros(2, 3), temperature)


def test_errors_in_units_of_the_teacher() -> None:
    """Written out; layers of any scale count alike, and padding does not count."""
    student, teacher = _random(BATCH, LENGTH, WIDTH, seed=1), _random(BATCH, LENGTH, WIDTH, seed=2)
    total = 0.0
    for i, length in enumerate(LENGTHS):
        for token in range(length):
            s, t = student[i, token].double(), teacher[i, token].double()
            total += float((s - t).square().mean() / t.square().mean())
    value = hidden_mse(student, teacher, _mask(), relative=True)
    assert value.item() == pytest.approx(total / sum(LENGTHS), rel=1e-5)
    larger = hidden_mse(50 * student, 50 * teacher, _mask(), relative=True)
    assert larger.item() == pytest.approx(value.item(), rel=1e-5)
    padding = _padding((BATCH, LENGTH, WIDTH))
    dirty = teacher.masked_fill(padding, torch.nan)
    assert torch.equal(hidden_mse(student, dirty, _mask(), relative=True), value)
    tokens = torch.tensor(float(sum(LENGTHS)))
    parts = [hidden_mse(student[h], teacher[h], _mask()[h], tokens, relative=True)
             for h in (slice(1), slice(1, None))]  # fmt: skip
    assert float(sum(parts)) == pytest.approx(value.item(), rel=1e-5)
    zero = hidden_mse(student, torch.zeros_like(teacher), _mask(), relative=True)
    assert bool(torch.isfinite(zero))


def _relation_loop(student: Tensor, teacher: Tensor) -> float:
    total, count = 0.0, 0
    for i, length in enumerate(LENGTHS):
        for head in range(HEADS):
            for q in range(length):
                ours = [math.exp(x) for x in student[i, head, q, :length].tolist()]
                theirs = [math.exp(x) for x in teacher[i, head, q, :length].tolist()]
                for s, t in zip(ours, theirs, strict=True):
                    total += t / sum(theirs) * math.log((t / sum(theirs)) / (s / sum(ours)))
                count += 1
    return total / count


def test_relations_by_hand() -> None:
    shape = BATCH, HEADS, LENGTH, LENGTH
    student, teacher = _random(*shape, seed=20).requires_grad_(), _random(*shape, seed=21)
    value = relation_divergence(student, teacher, _mask())
    expected = _relation_loop(student.detach(), teacher)
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert relation_divergence(teacher, teacher, _mask()).item() == 0.0
    value.backward()
    count = HEADS * sum(LENGTHS)
    for i, length in enumerate(LENGTHS):
        real = slice(None), slice(length), slice(length)
        difference = student[i][real].softmax(-1) - teacher[i][real].softmax(-1)
        torch.testing.assert_close(student.grad[i][real], difference.detach() / count)
    half = relation_divergence(student.detach().bfloat16(), teacher.bfloat16(), _mask())
    assert half.dtype is torch.float32 and half.item() == pytest.approx(expected, rel=0.05)
    with pytest.raises(ValueError, match="differ"):
        relation_divergence(student, teacher[:1], _mask())


@pytest.mark.parametrize("fill", FILLS, ids=str)
def test_padding_is_in_no_relation(fill: tuple[float, float]) -> None:
    shape = BATCH, HEADS, LENGTH, LENGTH
    padding = _padding(shape)
    clean, teacher = _random(*shape, seed=22).requires_grad_(), _random(*shape, seed=23)
    expected = relation_divergence(clean, teacher, _mask())
    dirty = clean.detach().masked_fill(padding, fill[0]).requires_grad_()
    value = relation_divergence(dirty, teacher.masked_fill(padding, fill[1]), _mask())
    assert torch.equal(value, expected)
    (clean_gradient,) = torch.autograd.grad(expected, clean)
    (gradient,) = torch.autograd.grad(value, dirty)
    assert torch.equal(gradient, clean_gradient)
    assert not gradient[padding].any()


@pytest.mark.parametrize("cut", [1, 2])
def test_parts_of_a_batch_add_up_to_its_mean(cut: int) -> None:
    """Unequal parts, each divided by the count of the whole."""
    mask = _mask()
    states = _random(2, BATCH, LENGTH, WIDTH, seed=1)
    maps = _random(2, BATCH, HEADS, LENGTH, LENGTH, seed=2)
    logits = _random(2, BATCH, 3, seed=3)
    tokens = torch.tensor(float(sum(LENGTHS)))
    pairs = torch.tensor(float(sum(length**2 for length in LENGTHS)))
    rows = torch.tensor(float(BATCH))
    halves = slice(None, cut), slice(cut, None)
    hidden = sum(hidden_mse(states[0, h], states[1, h], mask[h], tokens) for h in halves)
    attention = sum(attention_mse(maps[0, h], maps[1, h], mask[h], pairs) for h in halves)
    soft = sum(soft_cross_entropy(logits[0, h], logits[1, h], 2.0, rows) for h in halves)
    relations = sum(relation_divergence(maps[0, h], maps[1, h], mask[h], tokens) for h in halves)
    torch.testing.assert_close(relations, relation_divergence(*maps, mask))
    torch.testing.assert_close(hidden, hidden_mse(*states, mask))
    torch.testing.assert_close(attention, attention_mse(*maps, mask))
    torch.testing.assert_close(soft, soft_cross_entropy(*logits, 2.0))
