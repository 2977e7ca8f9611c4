"""Random overrides of all groups and keys: a line per mistake and exit code 2, or they prepare."""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, Result

import lada.run.compress
from lada.config import Config, known_keys
from lada.methods import methods
from lada.run.job import prepare
from lada.training.processes import World

Cli = Callable[..., Result]

LISTS = 240
PARTS = 12
"""The lists are tried in so many parts; the first stands for all of them among the core tests."""

GROUPS = {f.name: sorted(c.stem for c in f.glob("*.yaml")) for f in (ROOT / "conf").iterdir()
          if f.is_dir() and f.name != "hydra"} | {"method": list(methods())}  # fmt: skip
KEYS = known_keys()

HOSTILE = (
    "null", "true", "false", "0", "1", "-1", "5", "0.5", "-0.0", "1e300", "-1e300", "1e-300", "inf",
    "-inf", "nan", "NaN", "99999999999", "1000000000000", "-99999999999", "9" * 400, "1" * 5000,
    "", '""', "''", "' '", "[]", "{}", "[1,2]", "{a:1}", "[[[[[[[[1]]]]]]]]", "[a", "{", "'", '"',
    "$", "${", "${seed}", "${nowhere}", "${oc.env:HOME}", "???", "\\", "a b", "a=b", "a,b", "=x",
    "\u00e9t\u00e9", "\u6f22\u5b57", "\U0001f600", "\u202e", "\u200b", '"\\t"', "a\nb", "\x01", "~",
    "auto", "all", "lada", "csv", "7.5x", "0x10", "1_000", "1e3", "+5", "yes", "off", "None",
    "/dev/null", "/dev/zero", "/proc/self/mem", ".", "..", "no/such/file", "x" * 5000,
)  # fmt: skip
"""Nothing of each kind, too much of it, other types, other scripts, and Hydra's own grammar."""


VALID = (
    "seed=3", "optim.lr=1e-4", "optim.batch_size=16", "optim.epochs=2", "optim.warmup=0.2",
    "optim.weight_decay=0", "optim.clip=5", "teacher.lr=1e-3", "teacher.epochs=2",
    "teacher.margin=0", "schedule=linear", "schedule.recovery=0.3", "schedule.every=epoch",
    "schedule.start=full",
    "distill.attention=0.1", "distill.maps=probabilities", "distill.temperature=2", "method=hybrid",
    "method=pruning", "method=factorization_kd", "method.lower_rank=refactorize", "target=2.5x",
    "target=custom target.ratio=3", "ratios=fast", "data.validation=40", "data.split_by=sentence",
    "data.workers=0", "teacher_cache.gb=0", "trainer.accumulate=2", "trainer.checks=3",
    "callbacks.keep=3", "artifact=fp16", "logger=tensorboard", "compile=true", "resume=never",
    "task.max_length=16", "task.delimiter=comma", "task.encoding=latin-1",
)  # fmt: skip


def overrides(number: int) -> list[str]:
    """The list of this number: one to four overrides, the same in every run."""
    draw = random.Random(number)
    found = []
    for _ in range(draw.choice((1, 1, 2, 3, 4))):
        prefix = draw.choice(("",) * 8 + ("+", "~", "++"))
        if draw.random() < 0.4:
            found += draw.choice(VALID).split()
        elif draw.random() < 0.35:
            group = draw.choice(sorted(GROUPS))
            value = draw.choice(GROUPS[group] if draw.random() < 0.6 else HOSTILE)
            found.append(f"{prefix}{group}={value}")
        else:
            # A path may be any that can be written to; here it is the test's own.
            key = draw.choice([k for k in KEYS if not k.startswith("paths.")])
            found.append(f"{prefix}{key}={draw.choice(HOSTILE)}")
    return found


@contextmanager
def watched() -> Iterator[None]:
    """Break off what hangs: a list takes a fraction of a second."""

    def stop(*_: Any) -> None:
        raise TimeoutError("hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def memory(name: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_overrides(
    part: int, train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []

    def only_prepare(
        config: Config, folder: Path, given: list[str], world: World, *, named: bool
    ) -> None:
        prepare(config, given)
        prepared.append(given)

    monkeypatch.setattr(lada.run.compress, "compress", only_prepare)
    monkeypatch.setattr(lada.run.compress, "launch", lambda *_: 0)
    monkeypatch.chdir(tmp_path)
    rejected = 0
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now
    before = memory("VmRSS")
    for number in range(part, LISTS, PARTS):
        words = overrides(number)
        with watched():
            result = train_py(*tiny, *words)
        told = f"list {number}, {words!r:.300}: {result!r:.2000}"
        assert "Traceback" not in result.out + result.err, told
        if result.code == 0:
            continue
        rejected += 1
        lines = [line for line in result.err.splitlines() if line.strip()]
        assert result.code == 2, told
        errors = [line for line in lines if line.startswith("error: ")]
        # A line for each mistake, and nothing after them.
        assert errors and lines[-len(errors) :] == errors, told
        assert len(set(errors)) == len(errors) and max(map(len, errors)) < 2000, told
    assert memory("VmHWM") - before < 10**9
    # Neither rejecting all of them nor accepting all of them would do.
    assert prepared and rejected
