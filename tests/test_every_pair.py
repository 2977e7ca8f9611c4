"""Every family with every kind of task: compressed, stored, read and answered."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT
from pairs import check_answers, check_sizes, check_stored, make_pair, rows_of

import lada
from lada.heads.answers import as_json
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["single_label", "tokens", "spans", "embedding"])
def test_a_process_answers_a_line_for_a_line(kind: str, tmp_path: Path) -> None:
    folder = make_pair("bert", kind, tmp_path / "artifact").folder
    rows = rows_of(kind)
    lines = ["\t".join(text for text in row if text is not None) for row in rows]
    done = subprocess.run(
        [sys.executable, "-m", "lada", "predict", str(folder)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    texts = [text if pair is None else (text, pair) for text, pair in rows]
    expected = [as_json(answer) for answer in lada.load(folder).classify(texts)]
    assert len(found) == len(lines)
    for line, answer in zip(found, json.loads(json.dumps(expected)), strict=True):
        assert _close(line, answer), (line, answer)


def _close(one: object, other: object) -> bool:
    """Equal, but for the last digits of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 1e-5
    return one == other
