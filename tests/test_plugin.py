"""A method of another package: found by its entry point, without a change here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

MODULE = '''
from lada.methods import Context, register_method
from lada.methods.hybrid import HybridSettings
from lada.schema import setting, settings


@register_method("strange")
@settings("method")
class Strange(HybridSettings):
    """The method of a stranger."""

    twist: float = setting(0.25, "that does nothing", least=0.0, most=1.0)
'''


def install(site: Path, module: str) -> None:
    """What pip would leave of a package that names its module in the group ``lada.methods``."""
    info = site / "strange-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lada.methods]\nstrange = strange_methods\n")
    (site / "strange_methods.py").write_text(module)


def lada(site: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}", "LADA_PROGRAM": "lada compress"}
    command = [sys.executable, "-m", "lada", "compress", *args]
    return subprocess.run(command, cwd=site, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_method_of_another_package(tmp_path: Path, tiny: list[str]) -> None:
    site = tmp_path / "site"
    install(site, MODULE)
    assert "strange" in lada(site, "--help").stdout
    shown = lada(site, "method=strange", "--cfg", "job").stdout
    assert "twist: 0.25" in shown
    wrong = lada(site, "method=strange", "method.twist=2")
    assert wrong.returncode == 2
    assert wrong.stderr == "error: method.twist=2: must be at least 0 and at most 1.\n"
    wrong = lada(site, "method=strange", "distill.hidden=0")
    assert "is not used by method=strange" in wrong.stderr
    done = lada(site, *tiny, "method=strange", "method.twist=0.5", "optim.epochs=1")
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "out").rglob("results.json")
    assert json.loads(record.read_text())["config"]["method"]["twist"] == 0.5
    assert "strange" in done.stdout  # the table of the run


@pytest.mark.slow
def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "import nowhere_at_all\n")
    wrong = lada(site, "--cfg", "job")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: strange: its methods cannot be loaded (ModuleNotFound")
    assert len(wrong.stderr.splitlines()) == 1
