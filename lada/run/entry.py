"""Starts the run of a composed config, and reports errors in one line.

Imports no torch: a wrong config is rejected before anything slow is imported.
"""

import errno
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lada.config import check
from lada.errors import LadaError
from lada.run.hints import ANOTHER, IN_A_PLACE, hydra_line
from lada.run.runs import PROCESSES
from lada.run.sweep import run_job
from lada.training import failures
from lada.training.stop import Stopped, terminable
from lada.values import is_unicode, printable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_MORE = (
    "no more threads or processes can be started here, or no memory is left for them. Lower "
    "trainer.threads, data.workers or trainer.devices."
)
LONGEST = 2000
"""Most characters of an error line: longer ones quote a value."""
LOOPS = ("fit", "predict")
"""Functions that run batches through a model."""


def guarded(main: Callable[[], None]) -> None:
    """Run ``main``; report a user's mistake in one line and exit with code 2."""
    try:
        main()
    except LadaError as error:
        _fail(*error.args)
    except (HydraException, OmegaConfBaseException) as error:
        _fail(hydra_line(error, sys.argv[1:], is_override))
    except OSError as error:
        known = (*FULL, errno.EAGAIN, errno.ENOMEM)
        if error.filename is None and error.errno not in known:
            raise
        if error.errno in (errno.EAGAIN, errno.ENOMEM):
            _fail(NO_MORE)
        place = "paths.outputs, paths.cache or paths.teachers"
        _fail(f"{error.filename or 'disk'}: {error.strerror}. Give another folder by {place}.")
    except (MemoryError, RuntimeError) as error:
        line = _known_failure(error)
        if line is None and _is_of_hydra(error):
            line = hydra_line(error, sys.argv[1:], is_override)
        if line is None:
            raise
        _fail(line)
    except Stopped as stop:
        print(f"stopped by {stop}; the same command resumes from here", file=sys.stderr)
        sys.exit(128 + stop.signum)
    except KeyboardInterrupt:
        line = "interrupted; the same command resumes from the last checkpoint, if there is one"
        print(line, file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if not _is_of_hydra(error):
            raise
        _fail(hydra_line(error, sys.argv[1:], is_override))


def _known_failure(error: Exception) -> str | None:
    text = str(error)
    memory = ("out of memory", "not enough memory", "can't allocate memory")
    if _is_out_of_memory(error) or any(m in text for m in memory):
        size = re.search(r"allocate (\d[\d.]* ?\w*)", text)
        what = f"out of memory{f' (asked for {size.group(1)})' if size else ''}"
        if any(frame.name in LOOPS for frame in traceback.extract_tb(error.__traceback__)):
            return (
                f"{what} while training. Lower optim.batch_size, teacher.batch_size or "
                "task.max_length, or raise trainer.accumulate, which cuts a batch into parts with "
                "the same result."
            )
        return (
            f"{what} before or after training: data and models do not fit. Give fewer examples or "
            "a smaller model, or free memory."
        )
    if any(t in text for t in ("start new thread", "temporarily unavailable")):
        return NO_MORE
    if "closed by peer" in text or "Connection reset" in text:
        return f"another process of this run has ended. Its output is in the {PROCESSES}/ folder."
    return None


def _is_out_of_memory(error: Exception) -> bool:
    # An error of torch can only have been raised where torch is imported.
    of_torch = getattr(sys.modules.get("torch"), "OutOfMemoryError", MemoryError)
    return isinstance(error, MemoryError | of_torch)


def _is_of_hydra(error: Exception) -> bool:
    """Whether Hydra or a launcher has failed, because of the command line, config or machine."""
    frames = traceback.extract_tb(error.__traceback__)
    if not any(frame.name == _run.__name__ and frame.filename == __file__ for frame in frames):
        return True  # no run has begun
    # A recursion may end in any frame.
    last = frames[-20:] if isinstance(error, RecursionError) else frames[-1:]
    packages = {name for frame in last for name in Path(frame.filename).parts[:-1]}
    return bool({"hydra", "omegaconf", "antlr4"} & packages)


def is_override(word: str) -> bool:
    """Whether Hydra can parse a word of the command line."""
    try:
        OverridesParser.create().parse_override(word)
    except (HydraException, ValueError, RecursionError):
        return False
    return True


def _fail(*lines: str) -> None:
    told = [f"error: {printable(line.strip())}"[:LONGEST] for line in lines]
    failures.leave("\n".join(told))
    print(*told, sep="\n", file=sys.stderr)
    sys.exit(2)


def run(cfg: DictConfig) -> None:
    """Run `lada compress` with a composed config; under ``-m``, start a job for it."""
    # Guarded here too: Hydra would print its own line for an error that passes through it.
    guarded(lambda: _run(cfg))


def estimate(cfg: DictConfig) -> None:
    """Run `lada proxy` with a composed config."""
    guarded(lambda: _run(cfg, proxy=True))


def _check_places(runtime: Any) -> None:
    """Reject a run's folder, or a working directory, that Hydra or the libraries would misread."""
    raw = OmegaConf.to_container(runtime, resolve=False)
    assert isinstance(raw, dict)
    for name in ("cwd", "output_dir"):
        if "${" in str(raw[name]):
            raise LadaError(IN_A_PLACE)
        if not is_unicode(str(raw[name])):
            raise LadaError(f"{raw[name]}: is not valid UTF-8. {ANOTHER}")


def _run(cfg: DictConfig, *, proxy: bool = False) -> None:
    hydra = HydraConfig.get()
    _check_places(hydra.runtime)
    if hydra.mode == RunMode.MULTIRUN:
        if proxy:
            raise LadaError("lada proxy: does not sweep. Leave -m out, or use lada search.")
        with terminable():
            run_job(cfg)
        return
    fresh = Path(hydra.runtime.output_dir)
    named = any(o.startswith("hydra.run.dir") for o in hydra.overrides.hydra)
    overrides = list(hydra.overrides.task)
    try:
        config = check(cfg, overrides)
        if proxy:
            from lada.run.proxy import tell

            tell(config, fresh)
            return
        from lada.run.compress import start  # with torch, Lightning and transformers

        start(config, fresh, overrides, named=named)
    finally:
        if fresh.is_dir() and not any(fresh.iterdir()):  # rejected before anything was made
            fresh.rmdir()
