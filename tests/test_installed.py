"""The wheel, installed into an environment of its own and used outside the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
from helpers import ROOT, record_of, run_in

import lada

pytestmark = pytest.mark.slow
SHORT = ["task=demo", "model=tiny", "debug=fast", "trainer.threads=1", "trainer.precision=fp32"]
PARTS = ["conf", "lada", "pyproject.toml", "README.md", "LICENSE"]
BUILD_SDIST = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"


def call(*command: str | Path, folder: Path, **env: str) -> str:
    """Run it in ``folder``, without the checkout on the path; what it printed."""
    own = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LADA_PROGRAM")}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=own | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Installed:
    wheel: Path
    lada: Path
    python: Path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of the sdist of what is here; the packages of this environment by a .pth file."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    source.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source)
    call(sys.executable, "-c", BUILD_SDIST, folder, folder=source)
    (sdist,) = folder.glob("ladabert-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", folder, unpacked]
    call(*pip, *build, folder=folder)
    (wheel,) = folder.glob("ladabert-*.whl")
    call(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    python = folder / "venv/bin/python"
    install = ["--python", python, "install", "--no-deps", "--no-index", wheel]
    call(*pip, *install, folder=folder)
    packages = Path(call(python, "-c", PURELIB, folder=folder).strip())
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(wheel, folder / "venv/bin/lada", python)


PURELIB = "import sysconfig; print(sysconfig.get_path('purelib'))"


def own(folder: Path) -> list[str]:
    return [f"paths.teachers={folder}/teachers", f"paths.cache={folder}/cache"]


def test_the_wheel_has_the_package_and_conf_alone(installed: Installed) -> None:
    with ZipFile(installed.wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
    inside = {str(f.relative_to(ROOT)) for f in (ROOT / "lada").rglob("*.py")}
    conf = {f"lada/{f.relative_to(ROOT)}" for f in (ROOT / "conf").rglob("*.yaml")}
    assert names == inside | conf | {"lada/py.typed"}
    assert installed.wheel.name.startswith(f"ladabert-{lada.__version__}-")


def test_it_is_the_wheel_that_runs(installed: Installed, tmp_path: Path) -> None:
    assert call(installed.lada, "--version", folder=tmp_path) == f"lada {lada.__version__}\n"
    look = "import lada; from lada.program import conf_folder; print(lada.__file__, conf_folder())"
    package, conf = call(installed.python, "-c", look, folder=tmp_path).split()
    root = str(installed.lada.parents[1])
    assert package.startswith(root)
    assert conf.startswith(root)


def test_help_says_what_is_typed(installed: Installed, tmp_path: Path) -> None:
    text = call(installed.python, "-m", "lada", "compress", "--help", folder=tmp_path)
    assert "lada compress task=sst2" in text
    assert "train.py" not in text
    assert "minilm-l6" in text


def test_the_same_artifact_as_from_the_checkout(installed: Installed, tmp_path: Path) -> None:
    """By ``lada compress``, ``python -m lada compress`` in a job of a sweep, and ``train.py``."""
    folders = {name: tmp_path / name for name in ("wheel", "sweep", "checkout")}
    for folder in folders.values():
        folder.mkdir()
    wheel, sweep, checkout = folders.values()
    call(installed.lada, "compress", *SHORT, *own(wheel), folder=wheel)
    # A lada of the working directory is not what runs; nor in its jobs.
    (sweep / "lada").mkdir()
    (sweep / "lada/__init__.py").write_text("raise SystemExit('not this one')")
    call(installed.lada, "compress", "-m", *SHORT, *own(sweep), folder=sweep)
    call(sys.executable, ROOT / "train.py", *SHORT, *own(checkout), folder=checkout)

    rows = json.loads(next((sweep / "outputs").rglob("sweep.json")).read_text())
    assert [row["outcome"] for row in rows] == ["done"]
    assert all(row["record"]["command"].startswith("lada compress task=demo") for row in rows)
    artifacts = {
        "wheel": run_in(wheel / "outputs") / "artifact",
        "sweep": Path(rows[0]["folder"]) / "artifact",
        "checkout": run_in(checkout / "outputs") / "artifact",
    }
    files = {
        name: {f.name: f.read_bytes() for f in folder.iterdir() if f.name != "README.md"}
        for name, folder in artifacts.items()
    }
    assert "model.safetensors" in files["wheel"]
    assert files["wheel"] == files["checkout"]
    assert files["wheel"] == files["sweep"]
    a, b = record_of(wheel / "outputs"), record_of(checkout / "outputs")
    assert a["command"].startswith("lada compress task=demo model=tiny")
    assert b["command"].startswith("python train.py task=demo model=tiny")
    assert a["machine"]["versions"] == b["machine"]["versions"]
    assert a["machine"]["versions"]["lada"] == lada.__version__
    assert a["artifact"]["scores"] == b["artifact"]["scores"]

    answer = json.loads(
        call(installed.lada, "predict", artifacts["wheel"], "a fine film", folder=wheel)
    )
    assert set(answer) == {"label", "probability"}


def test_processes_of_one_run(installed: Installed, tmp_path: Path) -> None:
    several = ["trainer.devices=2", "trainer.accelerator=cpu", "trainer=ddp"]
    call(
        installed.lada, "compress", *SHORT, *own(tmp_path), *several, folder=tmp_path,
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    found = record_of(tmp_path / "outputs")
    assert found["machine"]["processes"] == 2
    assert found["command"].startswith("lada compress task=demo")


def test_a_mistake_is_one_line(installed: Installed, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed.lada, "compress", "task=sst3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: task=sst3: no such choice; did you mean sst2?")
