"""`prepare`: a student that any training loop can compress in rounds."""

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from lada.compression import Compression
from lada.config import (
    METHODS,
    Config,
    DistillConfig,
    FactorsConfig,
    KdConfig,
    LayerdropConfig,
    LayersConfig,
    MethodConfig,
    PkdConfig,
    PruningConfig,
    RankConfig,
    RatiosConfig,
    ScheduleConfig,
    TargetConfig,
)
from lada.errors import LadaError
from lada.limits import ROUNDS
from lada.methods.base import Method
from lada.nn.classes import class_names
from lada.nn.pretrained import check_bert_folder, load_classifier
from lada.ops.schedule import round_steps

SETTINGS: dict[str, MethodConfig] = {
    "lada": FactorsConfig("lada", threshold="factor", lower_rank="truncate"),
    "hybrid": FactorsConfig("hybrid", threshold="factor", lower_rank="truncate"),
    "factorization": RankConfig("factorization", lower_rank="truncate"),
    "factorization_kd": RankConfig("factorization_kd", lower_rank="truncate"),
    "pruning": PruningConfig("pruning", threshold="factor"),
    "pruning_kd": PruningConfig("pruning_kd", threshold="factor"),
    "finetune": LayersConfig("finetune", "svd", None),
    "kd": KdConfig("kd", "svd", None, 0.7, 10.0),
    "pkd": PkdConfig("pkd", "svd", None, 0.7, 10.0, 0.1, "skip"),
    "layerdrop": LayerdropConfig("layerdrop", "svd", None, 0.7, 10.0, "alternate"),
}
"""The methods that any loop can train, with the settings of conf/method."""

NEEDS_RUN = {
    "tinybert": "trains in two stages, with a projection that is trained along",
    "bilstm": "has a student that must know whether examples are pairs of texts",
    "minialbert": "has a student that is trained in part",
    "bert_small": "trains a student of another shape from the start, with nothing to compress",
    "early_exit": "trains classifiers between the layers and has no target",
    "quantization": "trains nothing and has no target",
}
"""Why the other methods need a run of their own."""


def prepare(
    model: BertForSequenceClassification | str | Path,
    *,
    target: float = 7.5,
    steps: int = 1000,
    method: str | MethodConfig = "lada",
    ratios: RatiosConfig | None = None,
    schedule: ScheduleConfig | None = None,
    distill: DistillConfig | None = None,
) -> Compression:
    """Make a student of a fine-tuned classifier and plan its rounds; your loop trains it.

    ``model`` is left as it is; the student is ``compression.model``, in training mode, on the same
    device. Call `Compression.before_step` before every optimizer step, or give the compression to
    `lada.HybridCompressionCallback` (Lightning) or `lada.CompressionTrainerCallback` (Hugging Face
    Trainer). `Compression.distillation_loss` is the loss of the method.

    Args:
        model: a `BertForSequenceClassification`, or a folder of one.
        target: parameters of ``model`` over nonzero parameters of the student at the end.
        steps: optimizer steps of the training, which the rounds are spread over.
        method: its name, or its settings.
        ratios: how the target is split over word embeddings, rank and pruning.
        schedule: when the rounds fall, and how fast the ratio goes to the target.
        distill: the weights of the distillation loss.

    Raises:
        LadaError: the model cannot be compressed, the target cannot be met, the method needs a run
            of its own (`lada.compress`), or a setting is not possible.

    Example:
        >>> import lada, torch
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> classifier = BertForSequenceClassification(BertConfig(
        ...     vocab_size=2000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        ...     intermediate_size=64, max_position_embeddings=32))
        >>> compression = lada.prepare(classifier, target=4, steps=20)
        >>> optimizer = torch.optim.AdamW(compression.model.parameters(), lr=1e-3)
        >>> for step in range(20):
        ...     done = compression.before_step(step, optimizer)
        ...     ids = torch.randint(2000, (8, 12))
        ...     batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        ...     loss = compression.distillation_loss(batch, teacher=classifier)
        ...     loss.backward()
        ...     compression.after_backward()
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        >>> compression.finished, round(compression.ratio, 1)
        (True, 4.0)
        >>> lada.prepare(classifier, target=4, method="tinybert")
        Traceback (most recent call last):
        ...
        lada.errors.LadaError: method=tinybert: trains in two stages, ... Use lada.compress, or ...
    """
    settings = _settings(method)
    if isinstance(target, bool) or not isinstance(target, int | float) or not 1 < target < math.inf:
        raise LadaError(f"target={target!r}: must be a number over 1.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise LadaError(f"steps={steps!r}: must be a positive integer.")
    dense = _classifier(model)
    config = Config(
        method=settings,
        target=TargetConfig(float(target)),
        ratios=ratios or RatiosConfig("solved", None, None, None, 1),
        schedule=schedule or ScheduleConfig("geometric", "auto", 8, None, 0.5),
        distill=distill or DistillConfig(1.0, 1.0, 1.0, 1.0, "scores", 1.0),
    )
    made: Method = import_module(f"lada.methods.{settings.name}").make(config)
    made.plan(dense, 1)  # an impossible target is told before what is wrong with the rounds
    at = _rounds_at(config.schedule, float(target), steps)
    plan = made.plan(dense, len(at))
    return Compression(made.build(dense, plan), made, plan, at[: len(plan.rounds)])


def _settings(method: str | MethodConfig) -> MethodConfig:
    name = method.name if isinstance(method, MethodConfig) else method
    if name in NEEDS_RUN:
        raise LadaError(
            f"method={name}: {NEEDS_RUN[name]}. Use lada.compress, or one of {', '.join(SETTINGS)}."
        )
    if not isinstance(name, str) or name not in SETTINGS:
        raise LadaError(f"method={name!r}: no such method. Choose one of {', '.join(SETTINGS)}.")
    if isinstance(method, str):
        return SETTINGS[name]
    if type(method) is not METHODS[name]:
        raise LadaError(f"method: the settings of {name} are {METHODS[name].__name__}(...).")
    return method


def _classifier(model: Any) -> BertForSequenceClassification:
    """The dense model, if it can be compressed."""
    if isinstance(model, str | Path):
        folder = Path(model)
        if not folder.is_dir():
            raise LadaError(f"model={model}: no such folder. Give a fine-tuned BERT classifier.")
        check_bert_folder(folder, "model")
        labels = class_names(BertConfig.from_pretrained(folder, local_files_only=True))
        with torch.random.fork_rng(devices=[]):
            return load_classifier(folder, labels, 0, fine_tuned=True, key="model")
    if not isinstance(model, BertForSequenceClassification):
        raise LadaError(
            f"model: is of type {type(model).__name__}, not supported. Give a "
            "BertForSequenceClassification, or its folder."
        )
    for name, p in model.named_parameters():
        if p.dtype != torch.float32:
            raise LadaError(f"model: {name} is {p.dtype}. Give it in float32: model.float().")
        if not bool(torch.isfinite(p).all()):
            raise LadaError(f"model: {name} has NaN or infinite values. Fine-tune it again.")
    return model


def _rounds_at(schedule: ScheduleConfig, target: float, steps: int) -> list[int]:
    """The steps before which the rounds fall."""
    if schedule.every == "epoch":
        raise LadaError(
            "schedule.every=epoch: prepare does not know your data. Give a number of steps."
        )
    every = None if schedule.every == "auto" else int(schedule.every)
    rounds: int | None = None
    if every is None:
        rounds = schedule.rounds
        if schedule.delta is not None:
            rounds = math.ceil(math.log(target) / -math.log(schedule.delta))
    count = rounds if every is None else steps / every
    assert count is not None
    if count > ROUNDS:
        raise LadaError(f"schedule: makes {count:,.0f} rounds. Give one of at most {ROUNDS:,}.")
    try:
        return round_steps(steps, schedule.recovery, rounds=rounds, every=every)
    except ValueError as error:
        raise LadaError(
            f"steps={steps}: {error}. Give more steps, or fewer rounds (schedule=)."
        ) from None
