"""Quick dropout against what dropout is: rate, scale, gradient, and nothing else changed."""

import pytest
import torch
from torch import nn

from lada.nn.dropout import Dropout, dropout, use_quick_dropout_

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_rate(p: float) -> None:
    torch.manual_seed(0)
    count = 1_000_001  # no multiple of four
    dropped = (dropout(torch.ones(count), p, True) == 0).double()
    spread = (p * (1 - p) / count) ** 0.5
    assert float(dropped.mean()) == pytest.approx(p, abs=5 * spread + 1 / 65536)
    # Each of the four places of a draw has the rate, and none tells of another.
    fours = dropped[: count // 4 * 4].view(-1, 4)
    assert torch.allclose(
        fours.mean(0), torch.tensor(p, dtype=torch.float64), atol=10 * spread + 1 / 65536
    )
    apart = torch.corrcoef(fours.T) - torch.eye(4)
    assert float(apart.abs().max()) < 5 / (count / 4) ** 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_kept_is_scaled(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    x = torch.randn(7, 11, 13).to(dtype)
    out = dropout(x, 0.1, True)
    assert out.dtype == dtype and out.shape == x.shape
    kept = out != 0
    assert 0.8 < float(kept.double().mean()) < 0.97
    expected = (x.double() * 65536 / (65536 - 6554))[kept]
    error = (out.double()[kept] - expected).abs() / expected.abs()
    assert float(error.max()) <= torch.finfo(dtype).eps


def test_gradient_is_the_mask_times_the_scale() -> None:
    torch.manual_seed(2)
    x = torch.randn(4, 6, requires_grad=True)
    out = dropout(x, 0.5, True)
    upstream = torch.randn(4, 6)
    out.backward(upstream)
    assert x.grad is not None
    assert torch.equal(x.grad, torch.where(out != 0, upstream * 2, 0.0))


def test_mean_is_kept() -> None:
    torch.manual_seed(3)
    out = dropout(torch.ones(1_000_000), 0.3, True)
    assert float(out.double().mean()) == pytest.approx(1.0, abs=5 * (0.3 / 0.7 / 1e6) ** 0.5)


def test_same_seed_same_mask() -> None:
    x = torch.ones(1000)
    torch.manual_seed(4)
    first, second = dropout(x, 0.5, True), dropout(x, 0.5, True)
    torch.manual_seed(4)
    assert torch.equal(dropout(x, 0.5, True), first)
    assert not torch.equal(first, second)


def test_a_transposed_tensor_keeps_its_places() -> None:
    torch.manual_seed(5)
    x = torch.arange(1.0, 41.0).view(5, 8).T
    out = dropout(x, 0.5, True)
    assert torch.equal(out[out != 0], (2 * x)[out != 0])


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_nothing_dropped(p: float, training: bool) -> None:
    x = torch.randn(5)
    assert torch.equal(dropout(x, p, training), x)


def test_all_dropped() -> None:
    assert not dropout(torch.ones(100), 1.0, True).any()


def test_every_dropout_of_a_model_is_replaced() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.2), nn.Sequential(nn.Dropout(0.7)))
    model[2].eval()
    before = set(model.state_dict())
    use_quick_dropout_(model)
    found = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert [(type(m), m.p, m.training) for m in found] == [
        (Dropout, 0.2, True),
        (Dropout, 0.7, False),
    ]
    assert set(model.state_dict()) == before


def test_the_compiler_gets_one_that_it_knows() -> None:
    torch.manual_seed(6)
    compiled = torch.compile(lambda x: dropout(x, 0.25, True), backend="eager", fullgraph=True)
    out = compiled(torch.ones(10_000))
    assert 0.2 < float((out == 0).double().mean()) < 0.3
