"""``lada bench``: speed of a compressed and of the dense model in every installed engine.

All cases of a setting take turns, so that other load on the machine affects them alike. The
baseline is the dense model in the same engine, and in its fastest engine.
"""

import importlib.util
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from lada.artifact import load, onnx, openvino
from lada.artifact.dense import load_dense
from lada.artifact.engine import INPUTS, Batch, Run, torch_runner
from lada.artifact.export import dense_model, forms_of, plain_model, write_form
from lada.artifact.forms import ENGINES, FORMS
from lada.errors import LadaError
from lada.nn.autos import auto_of
from lada.nn.capture import takes_types
from lada.nn.device import move_
from lada.nn.families import usable_positions
from lada.nn.slim import slim_

PROBED = ("torch", "onnx", "onnx-int8", "openvino", "openvino-bf16", "openvino-int8")
PROBE = Path(__file__).with_name("probe.py")


@dataclass(frozen=True)
class Settings:
    """Settings of a measurement: lengths in tokens, threads (0: all cores), batches and repeats."""

    engines: tuple[str, ...]
    lengths: tuple[int, ...] = (16, 64, 128)
    threads: tuple[int, ...] = (1, 0)
    batches: tuple[int, ...] = (1, 32)
    repeats: int = 15


def available() -> tuple[str, ...]:
    """The engines that this machine has."""
    found = []
    for name in ENGINES:
        family = name.partition("-")[0]
        if family == "cuda":
            here = torch.cuda.is_available()
        elif name == "torch-compile":
            compilers = (os.environ.get("CXX", "g++"), "clang++")
            here = any(shutil.which(compiler) for compiler in compilers)
        else:
            here = all(importlib.util.find_spec(p) for p in FORMS.get(family, ()))
        if here:
            found.append(name)
    return tuple(found)


def _cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_engines(names: str | None) -> tuple[str, ...]:
    """Engines by a list with commas; None: all that are available.

    Raises:
        LadaError: one is unknown or not available.
    """
    here = available()
    chosen = here if names is None else tuple(names.split(","))
    for name in chosen:
        if name not in ENGINES:
            raise LadaError(
                f"--engines {name}: there is no such engine. Choose from {', '.join(ENGINES)}."
            )
        if name not in here:
            family = name.partition("-")[0]
            why = {
                "cuda": "torch finds no GPU. Choose another engine.",
                "torch": "there is no C++ compiler. Install one, or choose another engine.",
            }.get(family, f"it is not installed. Run pip install 'ladabert[{family}]'.")
            raise LadaError(f"--engines {name}: {why}")
    return chosen


def bench(
    folder: Path, against: Path | None, settings: Settings, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure an artifact, and a dense model of the same shape.

    Args:
        folder: the artifact.
        against: the teacher; None: the artifact with its products multiplied out, which takes the
            same time.
        say: called with progress messages.

    Returns:
        "rows": dicts with model ("artifact", "dense"), engine, threads, batch, length, median, low
        and high (quartiles), in milliseconds; "starts": load time in seconds and peak memory in
        megabytes of a fresh process, by model and engine; "removed": the parts that pruning had
        emptied and that were removed.

    Raises:
        LadaError: a folder cannot be read, or the lengths are beyond the model.
    """
    classifier = load(folder)
    model = classifier.model
    forms = forms_of(model)
    engines = tuple(e for e in settings.engines if _runs(e, forms))
    if engines != settings.engines:
        left = ", ".join(sorted(set(settings.engines) - set(engines)))
        say(f"skipped, since a {model.config.model_type} does not run there: {left}")
        settings = replace(settings, engines=engines)
    if against is None and "dense" not in forms:
        raise LadaError(f"{folder}: has no dense form to compare with. Give --against TEACHER.")
    if against is None:
        dense = dense_model(model)
    else:
        dense = load_dense(against, classifier, "--against")
    # A teacher may have more tokens and positions: its student's may be trimmed.
    ours, theirs = model.config.vocab_size, dense.config.vocab_size
    if theirs < ours:
        raise LadaError(
            f"--against {against}: its vocab_size is {theirs}, less than {ours}. Give its own "
            "teacher."
        )
    longest, theirs = usable_positions(model.config), usable_positions(dense.config)
    if theirs < longest:
        raise LadaError(
            f"--against {against}: it has {theirs} positions, fewer than {longest}. Give its own "
            "teacher."
        )
    lengths = settings.lengths
    if max(lengths) > longest:
        raise LadaError(f"--lengths {max(lengths)}: the model has {longest} positions. Give fewer.")
    torch.manual_seed(0)
    models: dict[str, PreTrainedModel] = {"artifact": model, "dense": dense}
    with tempfile.TemporaryDirectory() as work:
        files = {("artifact", "torch"): folder, ("dense", "torch"): Path(work) / "dense-torch"}
        dense.save_pretrained(files["dense", "torch"])
        for who, m in models.items():
            for form in _forms(settings.engines):
                say(f"{who}: writing {form}")
                files[who, form] = _write(m, form, Path(work) / f"{who}-{form}", lengths)
        models["artifact"] = plain_model(model)
        removed = slim_(models["artifact"])
        rows: list[dict[str, Any]] = []
        for threads in dict.fromkeys(min(n or _cores(), _cores()) for n in settings.threads):
            rows += _in_turns(models, files, settings, threads, lengths, say)
        starts = []
        for who in models:
            for engine in settings.engines:
                if engine in PROBED:
                    say(f"{who}, {engine}: load time and memory")
                    found = _start(files, who, engine, lengths[-1], auto_of(model))
                    starts.append({"model": who, "engine": engine, **found})
    return {"rows": rows, "starts": starts, "removed": removed, "cores": _cores()}


def _forms(engines: tuple[str, ...]) -> list[str]:
    """Files that the engines need: "onnx", "onnx-int8", ..."""
    return sorted({_form(name) for name in engines if name.startswith(("onnx", "openvino"))})


def _runs(engine: str, forms: tuple[str, ...]) -> bool:
    """Whether a model with these forms runs in an engine."""
    family, _, kind = engine.partition("-")
    return (family in forms or family not in FORMS) and (kind != "compile" or bool(forms))


def _form(engine: str) -> str:
    """The form for an engine; OpenVINO uses the same file for fp32 and bf16."""
    return engine.removesuffix("-bf16")


def _tokens(model: PreTrainedModel, rows: int, length: int, end: int | None = None) -> Batch:
    """Random tokens: time does not depend on them.

    Args:
        end: ids are below it; None: those of the model.
    """
    shape = (rows, length)
    ids = torch.randint(0, model.config.vocab_size if end is None else end, shape)
    values = (ids, torch.ones(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64))
    named = dict(zip(INPUTS, values, strict=True))
    if not takes_types(model):
        del named["token_type_ids"]
    return named


def _write(model: PreTrainedModel, form: str, folder: Path, lengths: tuple[int, ...]) -> Path:
    folder.mkdir()
    to, _, kind = form.partition("-")
    # Ranges of random tokens: good enough for speed, not for a score.
    batches = [_tokens(model, 4, length) for length in lengths]
    write_form(model, to, folder, int8=kind == "int8", batches=batches)
    return folder / (onnx.FILE if to == "onnx" else openvino.FILE)


def _runner(engine: str, model: PreTrainedModel, file: Path | None, threads: int) -> Run:
    family, _, kind = engine.partition("-")
    if family == "onnx":
        assert file is not None
        return onnx.runner(file, threads)
    if family == "openvino":
        assert file is not None
        return openvino.runner(file, "bf16" if kind == "bf16" else "f32", threads)
    if family == "cuda":
        return _cuda_runner(model, torch.float16 if kind == "fp16" else torch.float32)
    if kind == "compile":
        model = copy(model)
        model.compile(dynamic=True)
        return torch_runner(model)
    run = torch_runner(model)
    if kind != "bf16":
        return run

    def in_bf16(batch: Batch) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return run(batch)

    return in_bf16


def _cuda_runner(model: PreTrainedModel, dtype: torch.dtype) -> Run:
    there = move_(deepcopy(model), "cuda", dtype)
    run = torch_runner(there)

    def waited(batch: Batch) -> torch.Tensor:
        found = run({name: value.cuda(non_blocking=True) for name, value in batch.items()})
        return found.float().cpu()  # waits for the device

    return waited


def _in_turns(
    models: dict[str, PreTrainedModel],
    files: dict[tuple[str, str], Path],
    settings: Settings,
    threads: int,
    lengths: tuple[int, ...],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    rows, end = [], models["artifact"].config.vocab_size
    try:
        cases = {
            (who, engine): _runner(engine, m, files.get((who, _form(engine))), threads)
            for engine in settings.engines
            for who, m in models.items()
        }
        for batch in settings.batches:
            for length in lengths:
                say(f"{threads} threads, batch {batch}, {length} tokens")
                words = _tokens(models["dense"], batch, length, end)
                repeats = settings.repeats if batch == 1 else max(3, settings.repeats // 3)
                for key, times in _time(cases, words, repeats).items():
                    low, median, high = torch.quantile(
                        torch.tensor(times, dtype=torch.float64) * 1000,
                        torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64),
                    ).tolist()
                    setting = {"threads": threads, "batch": batch, "length": length}
                    spread = {"median": median, "low": low, "high": high}
                    rows.append({"model": key[0], "engine": key[1], **setting, **spread})
    finally:
        torch.set_num_threads(before)
    return rows


def _time(
    cases: dict[tuple[str, str], Run], words: Batch, repeats: int
) -> dict[tuple[str, str], list[float]]:
    """Seconds of each case, ``repeats`` times, in turns.

    The order changes each time: an engine's threads spin for a while after its turn, and should not
    always disturb the same other engine.
    """
    order = random.Random(0)
    keys = list(cases)
    for run in cases.values():
        run(words)
        run(words)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in cases}
    for _ in range(repeats):
        order.shuffle(keys)
        for key in keys:
            started = time.perf_counter()
            cases[key](words)
            times[key].append(time.perf_counter() - started)
    return times


def time_pair(teacher: PreTrainedModel, model: PreTrainedModel, length: int) -> dict[str, Any]:
    """Milliseconds for one example on the CPU, in torch, in turns, for the report of a run.

    Returns:
        "teacher" and "artifact" (medians of 15), "length" in tokens, "threads".
    """
    cases = {("teacher", ""): torch_runner(teacher), ("artifact", ""): torch_runner(model)}
    # The teacher may have more tokens.
    times = _time(cases, _tokens(teacher, 1, length, model.config.vocab_size), 15)
    found = {who: 1000 * statistics.median(seconds) for (who, _), seconds in times.items()}
    return found | {"length": length, "threads": torch.get_num_threads()}


def _start(
    files: dict[tuple[str, str], Path], who: str, engine: str, length: int, auto: str
) -> dict[str, float]:
    """Load time and peak memory of a process with only this engine."""
    family, _, kind = engine.partition("-")
    file = files[who, _form(engine)]
    arguments = [
        family,
        str(file.absolute()),
        "bf16" if kind == "bf16" else "f32",
        str(length),
        auto,
    ]
    command = [sys.executable, str(PROBE), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LadaError(
            f"--engines {engine}: it cannot be started ({done.stderr.strip()[-200:]}). "
            "Give other engines."
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found
