"""Load time and memory of artifacts of families without token types, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from families import tiny

from lada import probe
from lada.artifact.classes import class_for
from lada.artifact.model import config_of, write_model


@pytest.mark.slow
@pytest.mark.parametrize("family", ["distilbert", "modernbert", "bert"])
def test_the_probe_runs(family: str, tmp_path: Path) -> None:
    model = tiny(family)
    write_model(tmp_path, model, config_of(model, "fp32", {"max_length": 16}, {}))
    assert class_for(model)
    auto = "AutoModelForSequenceClassification"
    command = [sys.executable, probe.__file__, "torch", str(tmp_path), "f32", "8", auto]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["peak_megabytes"] > 1
