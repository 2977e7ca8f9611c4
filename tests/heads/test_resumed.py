"""A run of any kind that was stopped and resumed ends bit-equal to one that never was."""

from collections.abc import Callable
from pathlib import Path

import pytest
from heads.files import OF_KINDS, with_kind
from helpers import Result, record_of
from stopped import ctrl_c, outcome, under

from lada.training.modules import StudentModule

KINDS = [OF_KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in OF_KINDS[1:])]


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_and_resumed(
    kind: str, train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    args = with_kind(kind, tiny, tmp_path / "data")
    done = train_py(*under(tmp_path / "whole", args))
    assert done.code == 0, done.err
    args = under(tmp_path / "cut", args)
    with ctrl_c(StudentModule, 14):
        assert train_py(*args).code == 130
    assert not list((tmp_path / "cut").rglob("artifact"))
    done = train_py(*args)
    assert done.code == 0, done.err
    assert record_of(tmp_path / "cut")["resumed"]
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
