"""One run: data -> teacher -> student -> artifact -> the artifact read back -> report."""

import logging
import math
import os
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
from lightning.pytorch.callbacks import ModelCheckpoint
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
from lada.nn.pretrained import find_model, load_classifier, load_tokenizer
from lada.nn.surgery import inventory
from lada.ops.budget import Plan
from lada.ops.schedule import round_steps
from lada.report.record import machine, without_paths, write_json
from lada.report.table import run_table
from lada.sweep import run_job
from lada.training.callbacks import FinalRoundCheckpoint, HybridCompressionCallback
from lada.training.datamodule import RowsModule
from lada.training.device import pick_accelerator, pick_precision
from lada.training.evaluate import predict, score
from lada.training.fit import count_steps, fit, make_trainer
from lada.training.loggers import logging_to
from lada.training.modules import Diverged, StudentModule
from lada.training.resume import refuse_other_run
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
        _fail(f"{error.filename}: {error.strerror}; choose another folder (paths.outputs=...)")
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
        config = check(cfg)
        compress(config, folder, overrides=list(hydra.overrides.task))
    finally:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()  # refused before anything was made


@dataclass(frozen=True)
class Rows:
    """The task's data as tokens."""

    data: TaskData
    train: Encoded
    select: Encoded
    dev: dict[str, Encoded]


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[phase] = round(time.monotonic() - started, 1)


def compress(config: Config, folder: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """Do a whole run into ``folder`` and return its record (also in ``results.json`` there).

    Raises:
        LadaError: something a user can mend; before training, where it can be known before.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    log.setLevel(logging.WARNING if config.callbacks.progress == "none" else logging.INFO)
    threads = config.trainer.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    seconds: dict[str, float] = {}
    method = make_method(config)
    if config.resume is not None:
        refuse_other_run(config)
    with _timed(seconds, "data"):
        base = find_model(config.model.name, config.model.path)
        data = _load_data(config)
        tokenizer = load_tokenizer(base, list(data.train.texts) + list(data.train.pairs or []))
        rows = _encode(config, data, tokenizer)
    steps, interval, at = _steps(config, len(rows.train))
    dense = load_classifier(base, data.labels, config.seed)
    positions = dense.config.max_position_embeddings
    if config.task.max_length > positions:
        raise LadaError(
            f"task.max_length={config.task.max_length}: model={config.model.name} has "
            f"{positions} positions; give {positions} or less"
        )
    plan = method.plan(inventory(dense), len(at))
    assert plan is not None
    log.info(
        "plan: x%.2f in %d rounds of %d steps (delta %.3f)",
        plan.rounds[-1].ratio,
        len(at),
        steps,
        plan.delta,
    )
    with logging_to(config, folder) as logger:
        with _timed(seconds, "teacher"):
            teacher = get_teacher(config, data, base, tokenizer, rows.train, rows.select)
        with _timed(seconds, "compression"):
            module, best = _fit(config, folder, method, teacher, plan, rows, tokenizer, logger,
                                steps, interval, at)  # fmt: skip
        with _timed(seconds, "artifact"):
            out = folder / "artifact"
            module.model.to("cpu")
            artifact.save(module.model, tokenizer, out, _about(config, data, plan))
        with _timed(seconds, "evaluation"):
            scores = _evaluate(config, rows, teacher, out, tokenizer)
        record = _record(config, folder, overrides or [], rows, teacher, plan, at, steps,
                         best, scores, seconds, threads)  # fmt: skip
        write_json(folder / "results.json", record)
        _tell_logger(logger, record)
    Console().print(run_table(record))
    print(f"artifact: {out}\nrecord:   {folder / 'results.json'}")
    return record


def _load_data(config: Config) -> TaskData:
    t = config.task
    return load_task(
        t.name,
        data_dir=config.data.dir,
        select_rows=config.data.select,
        train_file=t.train_file,
        dev_file=t.dev_file,
        text=t.text,
        text_pair=t.text_pair,
        label=t.label,
    )


def _encode(config: Config, data: TaskData, tokenizer: Any) -> Rows:
    cache, length = Path(config.paths.cache), config.task.max_length
    return Rows(
        data,
        encode(data.train, tokenizer, length, cache),
        encode(data.select, tokenizer, length, cache),
        {name: encode(split, tokenizer, length, None) for name, split in data.dev.items()},
    )


def _batch(config: Config) -> int:
    """Rows a forward pass; `accumulate` of them make an optimizer step."""
    return max(1, config.optim.batch_size // config.trainer.accumulate)


def _steps(config: Config, rows: int) -> tuple[int, int, list[int]]:
    """Optimizer steps, batches between looks, and the steps at which rounds fall."""
    batches = math.ceil(rows / _batch(config))
    steps, interval = count_steps(
        batches, config.optim.epochs, config.trainer.accumulate, config.trainer.checks
    )
    s = config.schedule
    every = rounds = None
    if s.every == "epoch":
        every = max(1, batches // config.trainer.accumulate)
    elif s.every != "auto":
        every = int(s.every)
    elif s.delta is not None:
        rounds = math.ceil(math.log(config.target.ratio) / -math.log(s.delta))
    else:
        rounds = s.rounds
    try:
        return steps, interval, round_steps(steps, s.recovery, rounds=rounds, every=every)
    except ValueError as error:
        raise LadaError(f"schedule: {error}; train longer (optim.epochs) or in fewer") from None


def _fit(
    config: Config,
    folder: Path,
    method: Method,
    teacher: Teacher,
    plan: Plan,
    rows: Rows,
    tokenizer: Any,
    logger: Any,
    steps: int,
    interval: int,
    at: list[int],
) -> tuple[StudentModule, float]:
    """Compress and distil; the module returned has the best weights of the final round."""
    o = config.optim
    module = StudentModule(
        method,
        method.build(teacher.model, plan),
        teacher.model,
        plan,
        total_steps=steps,
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
    loader = RowsModule(
        rows.train,
        rows.select,
        batch_size=_batch(config),
        pad_id=tokenizer.pad_token_id,
        seed=config.seed,
        workers=config.data.workers,
    )
    checkpoints = folder / "checkpoints"
    best = FinalRoundCheckpoint(checkpoints)
    last = ModelCheckpoint(checkpoints, "last", enable_version_counter=False)
    trainer = make_trainer(
        config.trainer,
        steps=steps,
        interval=interval,
        phase="compression",
        progress=config.callbacks.progress,
        folder=folder,
        callbacks=[HybridCompressionCallback(at), best, last],
        logger=logger,
    )
    try:
        fit(trainer, module, loader, resume=config.resume)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(checkpoints / "last.ckpt")) from None
    except Diverged as error:
        raise LadaError(f"{error}; {_how_to_go_on(checkpoints / 'last.ckpt')}") from None
    weights = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(weights["state_dict"])
    assert best.best_model_score is not None
    return module, float(best.best_model_score)


def _how_to_go_on(checkpoint: Path) -> str:
    if checkpoint.is_file():
        return f"go on from the last look at select: resume={checkpoint}"
    return (
        "there was no look at select yet, so there is nothing to resume from (the teacher is kept)"
    )


def _evaluate(
    config: Config, rows: Rows, teacher: Teacher, out: Path, tokenizer: Any
) -> dict[str, dict[str, Any]]:
    """Score the teacher, and the artifact as read back from its file, once on each dev split."""
    from lada.nn.capture import set_attention

    device = "cuda" if pick_accelerator(config.trainer.accelerator) == "gpu" else "cpu"
    loaded = artifact.load(out)
    set_attention(teacher.model, None)
    found: dict[str, dict[str, Any]] = {"teacher": {}, "artifact": {}}
    for name, model in (("teacher", teacher.model), ("artifact", loaded.model)):
        for split, encoded in rows.dev.items():
            logits = predict(model, encoded, tokenizer.pad_token_id, device)
            found[name][split] = score(logits, encoded.labels, rows.data.metrics)
    return found


def _about(config: Config, data: TaskData, plan: Plan) -> dict[str, Any]:
    """What an artifact says of itself in config.json."""
    return {
        "method": config.method.name,
        "task": data.task,
        "target": plan.target,
        "ratio": plan.rounds[-1].ratio,
        "max_length": config.task.max_length,
    }


def _record(
    config: Config,
    folder: Path,
    overrides: list[str],
    rows: Rows,
    teacher: Teacher,
    plan: Plan,
    at: list[int],
    steps: int,
    best: float,
    scores: dict[str, dict[str, Any]],
    seconds: dict[str, float],
    threads: int,
) -> dict[str, Any]:
    accelerator = pick_accelerator(config.trainer.accelerator)
    data, sizes = rows.data, artifact.measure(folder / "artifact")
    dense = sum(p.numel() for p in teacher.model.parameters())
    weights = teacher.folder / "model.safetensors"
    return {
        "command": " ".join(
            [
                "python train.py",
                *(o for o in without_paths(overrides) if not o.startswith("hydra.")),
            ]
        ),
        "config": without_paths(plain(config)),
        "seed": config.seed,
        "machine": machine(
            torch.cuda.get_device_name() if accelerator == "gpu" else "cpu", threads
        ),
        "precision": pick_precision(config.trainer.precision, accelerator),
        "data": {
            "train": {"rows": len(data.train), "sha256": data.train.digest},
            "select": {"rows": len(data.select), "sha256": data.select.digest},
            **{n: {"rows": len(s), "sha256": s.digest} for n, s in data.dev.items()},
        },
        "target": plan.target,
        "reached": dense / sizes["nonzeros"],
        "plan": {
            "fractions": vars(plan.fractions),
            "delta": plan.delta,
            "rounds": [
                {"step": step, "ratio": r.ratio} for step, r in zip(at, plan.rounds, strict=True)
            ],
        },
        "steps": steps,
        "seconds": seconds,
        "teacher": {
            **{k: v for k, v in teacher.record.items() if k != "parts"},
            "scores": scores["teacher"],
            "parameters": dense,
            "nonzeros": dense,
            "stored_bytes": weights.stat().st_size,
        },
        "artifact": {"select_accuracy": best, "scores": scores["artifact"], **sizes},
    }


def _tell_logger(logger: Any, record: dict[str, Any]) -> None:
    """The final figures beside the curves."""
    final = {"final/ratio": record["reached"], "final/bytes": record["artifact"]["stored_bytes"]}
    for split, found in record["artifact"]["scores"].items():
        final[f"final/{split}_accuracy"] = found["accuracy"]
    logger.log_metrics(final, step=record["steps"])
