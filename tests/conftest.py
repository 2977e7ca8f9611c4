"""Small data, and the command line run in this process."""

import gc
import os
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import ROOT, Result, sentences, write_csv
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hypothesis import settings

import lada.cli
import lada.run.compress
import lada.run.main  # noqa: F401  (all that a run imports, for gc.freeze)
from lada.config.store import register
from lada.overrides import value
from lada.program import PROGRAM

register()  # for tests that compose conf/ by themselves
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# What torch and transformers made at import stays: looking for garbage in it takes a tenth of all.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True)
def program_as_typed() -> Iterator[None]:
    """A command that is run in this process sets its name for its own processes, and no others."""
    before = os.environ.pop(PROGRAM, None)
    yield
    os.environ.pop(PROGRAM, None)
    if before is not None:
        os.environ[PROGRAM] = before


@pytest.fixture(scope="session")
def csv_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(train, dev) with columns text and label."""
    folder = tmp_path_factory.mktemp("rows")
    header = ("text", "label")
    train = write_csv(folder / "train.csv", sentences(320, 1), header)
    return train, write_csv(folder / "dev.csv", sentences(80, 2), header)


@pytest.fixture(scope="session")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fine-tuned teachers are kept here for the whole session."""
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture
def tiny(csv_files: tuple[Path, Path], teachers: Path, tmp_path: Path) -> list[str]:
    """Overrides of a run of seconds: random two-layer model, a few hundred rows."""
    train, dev = csv_files
    return [
        f"hydra.searchpath=[{value(f'file://{ROOT}/tests/conf')}]",
        "debug=tiny",
        "model=tiny",
        "task=csv",
        f"task.train_file={train}",
        f"task.dev_file={dev}",
        "task.max_length=32",
        "target=5x",
        "trainer.precision=fp32",
        "trainer.threads=1",
        "callbacks=quiet",
        f"paths.outputs={tmp_path / 'out'}",
        f"paths.cache={tmp_path / 'cache'}",
        f"paths.teachers={teachers}",
    ]


@pytest.fixture
def train_py(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """``python train.py ARGS`` in this process: exit code and what was printed."""
    # Hydra composes the whole config a first time only to read hydra.mode, which no test sets.
    monkeypatch.setattr(Hydra, "get_mode", lambda *args, **kwargs: None)

    def call(*args: str) -> Result:
        GlobalHydra.instance().clear()
        monkeypatch.setattr("sys.argv", [str(ROOT / "train.py"), *args])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        monkeypatch.setenv(PROGRAM, "python train.py")
        code = 0
        capfd.readouterr()
        try:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call
