"""What a process imports before it has something to do: help and errors wait for no torch."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

HEAVY = ("torch", "transformers", "lightning", "torchmetrics", "scipy", "matplotlib", "wandb",
         "pandas", "datasets")  # fmt: skip

SCRIPT = """
import runpy, sys
heavy, sys.argv = sys.argv[1].split(","), sys.argv[2:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("imported:", *(name for name in heavy if name in sys.modules), file=sys.stderr)
"""
LADA = str(ROOT / "lada" / "__main__.py")
TRAIN = str(ROOT / "train.py")


def python(code: str, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a new process that finds this lada."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code, *args], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_import_lada(tmp_path: Path) -> None:
    code = f"import lada; print([m for m in {HEAVY} if m in sys.modules])"
    done = python(code, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_names_are_imported_when_they_are_used(tmp_path: Path) -> None:
    code = (
        "import lada, lada.artifact\n"
        "assert {*lada.__all__} <= {*dir(lada)} and {*lada.artifact.__all__} <= "
        "{*dir(lada.artifact)}\n"
        "for name in lada.__all__: assert getattr(lada, name) is not None\n"
        "for name in lada.artifact.__all__: assert callable(getattr(lada.artifact, name))\n"
        "assert 'torch' in sys.modules\n"
        "for module in (lada, lada.artifact):\n"
        "    try: module.nothing\n"
        "    except AttributeError as error: print(error)\n"
    )
    done = python(code, cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "module 'lada' has no attribute 'nothing'",
        "module 'lada.artifact' has no attribute 'nothing'",
    ], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ([LADA, "--help"], 0, "compress"),
        ([LADA, "--version"], 0, "lada "),
        ([LADA, "bench", "--help"], 0, "openvino"),
        ([LADA, "export", "--help"], 0, "onnx"),
        ([LADA, "search", "--help"], 0, "FOLDER"),
        ([LADA, "search", "nowhere"], 2, "has no search"),
        ([LADA, "search", "nowhere", "ratios=search", "optim.lr=-1"], 2, "error: optim.lr=-1"),
        ([LADA, "proxy", "optim.lr=-1"], 2, "error: optim.lr=-1"),
        ([LADA, "nothing"], 2, "No such command"),
        ([LADA, "compress", "--help"], 0, "target"),
        ([TRAIN, "--help"], 0, "target"),
        ([TRAIN, "--cfg", "job"], 0, "batch_size"),
        ([TRAIN, "optim.lr=-1"], 2, "error: optim.lr=-1"),
        ([TRAIN, "optim.lrr=1"], 2, "error: optim.lrr"),
        ([TRAIN, "method=nothing"], 2, "error: method=nothing"),
        ([TRAIN, "method=pruning", "distill.hidden=0.5"], 2, "error: distill.hidden=0.5"),
    ],
    ids=lambda value: " ".join([Path(value[0]).name, *value[1:]]) if type(value) is list else None,
)
def test_commands_that_compress_nothing(
    command: list[str], code: int, words: str, tmp_path: Path
) -> None:
    done = python(SCRIPT, ",".join(HEAVY), *command, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    *said, imported = done.stderr.splitlines()
    assert words in done.stdout + "\n".join(said)
    assert imported == "imported:"


@pytest.mark.parametrize("heavy", ["torch", "transformers"])
def test_the_check_sees_what_is_imported(heavy: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import {heavy}\n", encoding="utf-8")
    done = python(SCRIPT, ",".join(HEAVY), str(script), cwd=tmp_path)
    assert heavy in done.stderr.splitlines()[-1].split()[1:]
