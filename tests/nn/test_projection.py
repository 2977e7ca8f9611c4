"""The map to the teacher's width, and which layer belongs to which."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lada.nn.projection import Projection, uniform_layers


def test_one_map_for_all_layers() -> None:
    projection = Projection(4, 6)
    torch.nn.init.normal_(projection.fit_dense.bias)
    hidden = tuple(torch.randn(2, 3, 4) for _ in range(3))
    out = projection(hidden)
    assert isinstance(out, tuple)
    weight = projection.fit_dense.weight.detach().numpy()
    bias = projection.fit_dense.bias.detach().numpy()
    for before, after in zip(hidden, out, strict=True):
        expected = np.einsum("btw,vw->btv", before.numpy(), weight) + bias
        np.testing.assert_allclose(after.detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert [(n, tuple(p.shape)) for n, p in projection.named_parameters()] == [
        ("fit_dense.weight", (6, 4)),
        ("fit_dense.bias", (6,)),
    ]


def test_it_starts_as_in_the_paper_s_code() -> None:
    torch.manual_seed(0)
    projection = Projection(300, 400)
    assert float(projection.fit_dense.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert not projection.fit_dense.bias.any()


def test_every_layer_teaches_it() -> None:
    projection = Projection(4, 6)
    hidden = tuple(torch.randn(2, 3, 4, requires_grad=True) for _ in range(3))
    torch.stack(projection(hidden)).square().sum().backward()
    for states in hidden:
        assert states.grad is not None
        assert bool((states.grad != 0).all())
    assert projection.fit_dense.weight.grad is not None


@pytest.mark.parametrize(
    ("teacher", "student", "expected"),
    [
        (12, 4, (3, 6, 9, 12)),  # the paper's two
        (12, 6, (2, 4, 6, 8, 10, 12)),
        (6, 6, (1, 2, 3, 4, 5, 6)),
        (12, 1, (12,)),
    ],
)
def test_uniform_layers(teacher: int, student: int, expected: tuple[int, ...]) -> None:
    assert uniform_layers(teacher, student) == expected


@given(st.integers(-1, 30), st.integers(-1, 32))
def test_uniform_layers_fit_or_say_what_would(teacher: int, student: int) -> None:
    if teacher >= 1 and student >= 1 and teacher % student == 0:
        k = teacher // student
        assert uniform_layers(teacher, student) == tuple(m * k for m in range(1, student + 1))
        return
    with pytest.raises(ValueError, match=f"{student} layers do not fit a teacher of") as error:
        uniform_layers(teacher, student)
    would = str(error.value).partition("would do: ")[2]
    named = [] if would == "none" else [int(x) for x in would.split(", ")]
    assert bool(named) == (teacher >= 1)
    for depth in named:
        assert uniform_layers(teacher, depth)[-1] == teacher
