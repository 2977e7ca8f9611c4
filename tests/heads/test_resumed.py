"""A run of any kind that was stopped and resumed ends bit-equal to one that never was."""

from collections.abc import Callable
from pathlib import Path

import pytest
from heads.files import OF_KINDS, with_kind
from helpers import Result
from stopped import check_resumed

KINDS = [OF_KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in OF_KINDS[1:])]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_stopped_and_resumed(
    kind: str, train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    args = with_kind(kind, tiny, tmp_path / "data")

    def stopped() -> None:
        assert not list((tmp_path / "cut").rglob("artifact"))

    check_resumed(train_py, args, tmp_path, stopped=stopped)
