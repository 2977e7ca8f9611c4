"""Two processes killed together at random moments, by the script of the full experiment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

pytestmark = pytest.mark.slow


def test_two_kills_of_two_processes(tiny: list[str], tmp_path: Path) -> None:
    args = [a for a in tiny if not a.startswith("paths.")]
    script = str(ROOT / "experiments/reliability/kills.py")
    options = ["--kills", "2", "--processes", "2", "--out", str(tmp_path / "kills.json")]
    done = subprocess.run(
        [sys.executable, script, *options, *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads((tmp_path / "kills.json").read_text())["runs"]
    assert sum(len(run["kills"]) for run in runs) == 2
    assert all(all(run["equal"].values()) for run in runs)
