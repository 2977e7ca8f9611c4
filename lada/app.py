"""One run: data -> teacher -> student -> artifact -> the artifact read back -> report."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from lada import artifact
from lada.config import Config, check, plain
from lada.data.source import load_task
from lada.data.split import TaskData
from lada.data.tokens import Encoded, encode
from lada.errors import LadaError
from lada.hints import hydra_line
from lada.methods import Method, make_method
from lada.nn.capture import set_attention
from lada.nn.pretrained import (
    check_bert_folder,
    find_model,
    load_classifier,
    load_tokenizer,
    model_digest,
)
from lada.nn.surgery import inventory
from lada.ops.budget import Plan
from lada.ops.schedule import round_steps
from lada.report.record import command_line, machine, without_paths, write_json
from lada.report.table import run_table
from lada.sweep import run_job
from lada.training.datamodule import RowsModule
from lada.training.device import pick_accelerator, pick_precision
from lada.training.evaluate import predict, score
from lada.training.fit import count_steps
from lada.training.loggers import logging_to
from lada.training.modules import StudentModule
from lada.training.resume import refuse_other_run
from lada.training.student import CHECKPOINTS, fit_student
from lada.training.teacher import Teacher, get_teacher

log = logging.getLogger("lada")


def guarded(main: Callable[[], None]) -> None:
    """Run ``main``; say what a user can mend in one line and exit with code 2."""
    try:
        main()
    except LadaError as error:
        _fail(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        _fail(hydra_line(error))
    except OSError as error:
        if error.filename is None:
            raise
        place = "paths.outputs, paths.cache or paths.teachers"
        _fail(f"{error.filename}: {error.strerror}; give another folder by {place}")
    except KeyboardInterrupt as stop:
        print(f"interrupted; {stop}" if str(stop) else "interrupted", file=sys.stderr)
        sys.exit(130)


def _fail(line: str) -> None:
    print(f"error: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(2)


def run(cfg: DictConfig) -> None:
    """What ``python train.py`` does with a composed config; under ``-m``, start a job for it."""
    # Guarded here too: an error that passes through Hydra gets a line of Hydra's before ours.
    guarded(lambda: _run(cfg))


def _run(cfg: DictConfig) -> None:
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        run_job()
        return
    folder = Path(hydra.runtime.output_dir)
    try:
        compress(check(cfg), folder, overrides=list(hydra.overrides.task))
    finally:
        for empty in (folder / CHECKPOINTS, folder):  # refused before anything was made
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()


@dataclass(frozen=True)
class Job:
    """All that is settled before anything is trained.

    Attributes:
        base: folder of the pretrained (or given, fine-tuned) model; None for the tiny one.
        dev: tokens of each dev split by name.
        steps: optimizer steps of the compression.
        interval: batches between two looks at `select`.
        at: the steps before which the rounds of ``plan`` fall.
    """

    config: Config
    folder: Path
    overrides: list[str]
    method: Method
    base: Path | None
    tokenizer: Any
    data: TaskData
    train: Encoded
    select: Encoded
    dev: dict[str, Encoded]
    plan: Plan
    steps: int
    interval: int
    at: list[int]

    @property
    def accelerator(self) -> str:
        """``gpu`` or ``cpu``."""
        return pick_accelerator(self.config.trainer.accelerator)

    @property
    def device(self) -> str:
        """The same as torch names it."""
        return "cuda" if self.accelerator == "gpu" else "cpu"


def compress(config: Config, folder: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """Do a whole run into ``folder`` and return its record (also in ``results.json`` there).

    Raises:
        LadaError: something a user can mend; before training, where it can be known before.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    log.setLevel(logging.WARNING if config.callbacks.progress == "none" else logging.INFO)
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    seconds: dict[str, float] = {}
    with _timed(seconds, "data"):
        job = _prepare(config, folder, overrides or [])
        _claim(folder)
    log.info(
        "plan: x%.2f in %d rounds over %d steps (delta %.3f)",
        job.plan.rounds[-1].ratio,
        len(job.at),
        job.steps,
        job.plan.delta,
    )
    out = folder / "artifact"
    with logging_to(config, folder) as logger:
        with _timed(seconds, "teacher"):
            teacher = get_teacher(config, job.data, job.base, job.tokenizer, job.train, job.select)
        with _timed(seconds, "compression"):
            module, best = _fit(job, teacher, logger)
        with _timed(seconds, "artifact"):
            artifact.save(module.model.to("cpu"), job.tokenizer, out, _about(job))
        with _timed(seconds, "evaluation"):
            scores = _evaluate(job, teacher, out)
        record = _record(job, teacher, best, scores, seconds)
        write_json(folder / "results.json", record)
        _tell_logger(logger, record)
    Console().print(run_table(record))
    print(f"artifact: {out}\nrecord:   {folder / 'results.json'}")
    return record


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[phase] = round(time.monotonic() - started, 1)


def _claim(folder: Path) -> None:
    """Make the run's folder this run's alone.

    Raises:
        LadaError: another run was here, or is.
    """
    try:
        (folder / CHECKPOINTS).mkdir(parents=True)
    except FileExistsError:
        raise LadaError(
            f"{folder}: holds a run already; give another folder (hydra.run.dir=...)"
        ) from None


def _prepare(config: Config, folder: Path, overrides: list[str]) -> Job:
    """Read, check and plan; whatever a user can get wrong shows here."""
    method = make_method(config)
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise LadaError("trainer.accelerator=gpu: torch sees no CUDA device; use auto or cpu")
    if config.resume is not None:
        refuse_other_run(config)
    given = config.teacher.path is not None
    if config.teacher.path is not None:
        base: Path | None = Path(config.teacher.path)
        check_bert_folder(Path(config.teacher.path), "teacher.path")
    else:
        base = find_model(config.model.name, config.model.path)
    t = config.task
    data = load_task(
        t.name,
        data_dir=config.data.dir,
        select_rows=config.data.select,
        train_file=t.train_file,
        dev_file=t.dev_file,
        text=t.text,
        text_pair=t.text_pair,
        label=t.label,
    )
    dense = load_classifier(base, data.labels, config.seed, fine_tuned=given)
    positions = dense.config.max_position_embeddings
    if t.max_length > positions:
        raise LadaError(
            f"task.max_length={t.max_length}: the model has {positions} positions; give "
            f"{positions} or less"
        )
    # The plan without its rounds first: an impossible target should not wait for tokens.
    counted = inventory(dense)
    method.plan(counted, 1)
    steps, interval, at = _steps(config, len(data.train))
    plan = method.plan(counted, len(at))
    assert plan is not None
    tokenizer = load_tokenizer(base, [*data.train.texts, *(data.train.pairs or [])])
    cache = Path(config.paths.cache)
    tokens, table = len(tokenizer), dense.config.vocab_size
    if tokens > table:
        raise LadaError(
            f"{base}: its tokenizer has {tokens} tokens, its model {table}; give a folder whose "
            "two parts fit"
        )
    return Job(
        config=config,
        folder=folder,
        overrides=overrides,
        method=method,
        base=base,
        tokenizer=tokenizer,
        data=data,
        train=encode(data.train, tokenizer, t.max_length, cache),
        select=encode(data.select, tokenizer, t.max_length, cache),
        dev={name: encode(rows, tokenizer, t.max_length, None) for name, rows in data.dev.items()},
        plan=plan,
        steps=steps,
        interval=interval,
        at=at,
    )


def _batch(config: Config) -> int:
    """Rows a forward pass; `accumulate` of them make an optimizer step."""
    return max(1, config.optim.batch_size // config.trainer.accumulate)


def _steps(config: Config, rows: int) -> tuple[int, int, list[int]]:
    """Optimizer steps, batches between looks, and the steps at which rounds fall."""
    batches = math.ceil(rows / _batch(config))
    accumulate = config.trainer.accumulate
    steps, interval = count_steps(batches, config.optim.epochs, accumulate, config.trainer.checks)
    s = config.schedule
    every = rounds = None
    if s.every == "epoch":
        every = max(1, batches // accumulate)
    elif s.every != "auto":
        every = int(s.every)
    elif s.delta is not None:
        rounds = math.ceil(math.log(config.target.ratio) / -math.log(s.delta))
    else:
        rounds = s.rounds
    try:
        return steps, interval, round_steps(steps, s.recovery, rounds=rounds, every=every)
    except ValueError as error:
        raise LadaError(
            f"schedule: {error}; train longer (optim.epochs) or in fewer rounds (schedule.rounds)"
        ) from None


def _fit(job: Job, teacher: Teacher, logger: Any) -> tuple[StudentModule, float]:
    """Compress and distil; gives the best weights of the final round and their `select` score."""
    config, o = job.config, job.config.optim
    module = StudentModule(
        job.method,
        job.method.build(teacher.model, job.plan),
        teacher.model,
        job.plan,
        total_steps=job.steps,
        seed=config.seed,
        optimizer={
            "lr": o.lr,
            "weight_decay": o.weight_decay,
            "betas": (o.beta1, o.beta2),
            "eps": o.eps,
        },
        warmup=o.warmup,
        clip=o.clip,
    )
    module.save_hyperparameters({"config": plain(config)})
    rows = RowsModule(
        job.train,
        job.select,
        batch_size=_batch(config),
        pad_id=job.tokenizer.pad_token_id,
        seed=config.seed,
        workers=config.data.workers,
    )
    best = fit_student(
        config,
        job.folder,
        module,
        rows,
        steps=job.steps,
        interval=job.interval,
        at=job.at,
        logger=logger,
    )
    return module, best


def _evaluate(job: Job, teacher: Teacher, out: Path) -> dict[str, dict[str, Any]]:
    """Score the teacher, and the artifact as read back from its file, once on each dev split."""
    set_attention(teacher.model, None)
    found: dict[str, dict[str, Any]] = {"teacher": {}, "artifact": {}}
    for name, model in (("teacher", teacher.model), ("artifact", artifact.load(out).model)):
        for split, rows in job.dev.items():
            logits = predict(model, rows, job.tokenizer.pad_token_id, job.device)
            found[name][split] = score(logits, rows.labels, job.data.metrics)
    return found


def _about(job: Job) -> dict[str, Any]:
    """What an artifact says of itself in config.json."""
    return {
        "method": job.config.method.name,
        "task": job.data.task,
        "target": job.plan.target,
        "ratio": job.plan.rounds[-1].ratio,
        "max_length": job.config.task.max_length,
    }


def _record(
    job: Job,
    teacher: Teacher,
    best: float,
    scores: dict[str, dict[str, Any]],
    seconds: dict[str, float],
) -> dict[str, Any]:
    """What ``results.json`` holds; no path of this machine is in it."""
    sizes = artifact.measure(job.folder / "artifact")
    dense = sum(p.numel() for p in teacher.model.parameters())
    device = torch.cuda.get_device_name() if job.device == "cuda" else "cpu"
    splits = {"train": job.data.train, "select": job.data.select, **job.data.dev}
    rounds = zip(job.at, job.plan.rounds, strict=True)
    return {
        "command": command_line(job.overrides),
        "config": without_paths(plain(job.config)),
        "seed": job.config.seed,
        "machine": machine(device, torch.get_num_threads()),
        "precision": pick_precision(job.config.trainer.precision, job.accelerator),
        "data": {n: {"rows": len(s), "sha256": s.digest} for n, s in splits.items()},
        "target": job.plan.target,
        "reached": dense / sizes["nonzeros"],
        "plan": {
            "fractions": vars(job.plan.fractions),
            "delta": job.plan.delta,
            "rounds": [{"step": step, "ratio": r.ratio} for step, r in rounds],
        },
        "steps": job.steps,
        "resumed": job.config.resume is not None,  # then `seconds` are those since
        "seconds": seconds,
        "teacher": {
            **{k: v for k, v in teacher.record.items() if k != "parts"},
            "scores": scores["teacher"],
            "base_sha256": model_digest(job.base),
            "parameters": dense,
            "nonzeros": dense,
            "stored_bytes": (teacher.folder / "model.safetensors").stat().st_size,
        },
        "artifact": {"select_accuracy": best, "scores": scores["artifact"], **sizes},
    }


def _tell_logger(logger: Any, record: dict[str, Any]) -> None:
    """The final figures beside the curves."""
    final = {"final/ratio": record["reached"], "final/bytes": record["artifact"]["stored_bytes"]}
    for split, found in record["artifact"]["scores"].items():
        final[f"final/{split}_accuracy"] = found["accuracy"]
    logger.log_metrics(final, step=record["steps"])
    logger.save()  # fit has closed its books already
