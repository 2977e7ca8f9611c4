"""Every family with every kind of task: compressed, stored, read and answered."""

from pathlib import Path

import pytest
from pairs import check_answers, check_sizes, check_stored, make_pair

from lada.heads.kinds import KINDS
from lada.nn.families import FAMILIES

PAIRS = [
    pytest.param(family, kind, marks=() if family in ("bert", "roberta") else pytest.mark.slow)
    for family in FAMILIES
    for kind in KINDS
]


@pytest.mark.parametrize(("family", "kind"), PAIRS)
def test_a_pair(family: str, kind: str, tmp_path: Path) -> None:
    pair = make_pair(family, kind, tmp_path / "artifact")
    check_sizes(pair)
    check_stored(pair)
    check_answers(pair)
