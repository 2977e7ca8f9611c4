"""Restores the state of the process after a run that is called as a library."""

import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from transformers.utils import logging as hf_logging

LOGGERS = (
    "lada",
    "lightning.pytorch",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric",
    "torch.distributed.elastic",
)
"""Loggers whose levels and handlers a run may set."""

DYNAMO = ("allow_unspec_int_on_nn_module", "fail_on_recompile_limit_hit")
"""Flags of torch.compile that a compiled student needs."""


@contextmanager
def restored(*, compiled: bool = False) -> Iterator[None]:
    """Restore the state of the process that the block changes, also if it fails.

    That is: the states of random number generators (torch on all devices, numpy, random), torch's
    threads and compiler flags, the environment, warning filters, levels and handlers of loggers,
    verbosity and progress bars of the Hugging Face libraries.

    Args:
        compiled: whether the block compiles a model. The compiler takes seconds to import.

    Example:
        >>> import torch
        >>> before = torch.initial_seed()
        >>> with restored():
        ...     _ = torch.manual_seed(before + 1)
        >>> torch.initial_seed() == before
        True
    """
    if compiled:
        import torch._dynamo.config  # noqa: F401
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        for keep in (_generators, _torch_settings, _environment, _loggers, _hugging_face):
            stack.enter_context(keep())
        yield


@contextmanager
def _generators() -> Iterator[None]:
    state = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    ours, theirs = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        random.setstate(ours)
        np.random.set_state(theirs)


@contextmanager
def _torch_settings() -> Iterator[None]:
    threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
    config: Any = sys.modules.get("torch._dynamo.config")
    flags = {name: getattr(config, name) for name in DYNAMO} if config is not None else {}
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_grad_enabled(grad)
        for name, value in flags.items():
            setattr(config, name, value)


@contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextmanager
def _loggers() -> Iterator[None]:
    found = [logging.getLogger(), *map(logging.getLogger, LOGGERS)]
    before = [(log, log.level, log.propagate, log.disabled, list(log.handlers)) for log in found]
    try:
        yield
    finally:
        for log, level, propagate, disabled, handlers in before:
            log.setLevel(level)
            log.propagate, log.disabled = propagate, disabled
            log.handlers[:] = handlers


@contextmanager
def _hugging_face() -> Iterator[None]:
    verbosity, bar = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hub = are_progress_bars_disabled()
    try:
        yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if hf_logging.is_progress_bar_enabled() != bar:
            (hf_logging.enable_progress_bar if bar else hf_logging.disable_progress_bar)()
        # After those of transformers, which switch the hub's as well.
        if are_progress_bars_disabled() != hub:
            (disable_progress_bars if hub else enable_progress_bars)()


@contextmanager
def without_bars() -> Iterator[None]:
    """No progress bars of downloads, by the hub or by `datasets`, in the block."""
    datasets: Any = sys.modules.get("datasets")
    theirs = datasets is not None and not datasets.are_progress_bars_disabled()
    hub = not are_progress_bars_disabled()
    if hub:
        disable_progress_bars()
    if theirs:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if hub:
            enable_progress_bars()
        if theirs:
            datasets.enable_progress_bars()
