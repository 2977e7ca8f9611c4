"""`prepare`: a student that any training loop can compress in rounds."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.compression import Compression
from lada.errors import LadaError
from lada.heads import head_named, kind_for
from lada.heads.kinds import KINDS
from lada.methods import Context, MethodSettings, find_method, methods
from lada.methods.families import terms_left_out
from lada.methods.groups import DistillConfig, RatiosConfig, ScheduleConfig
from lada.methods.settings import FEW_BITS, RankSettings
from lada.nn.autos import auto_named, auto_of, model_class
from lada.nn.classes import class_names
from lada.nn.compressed import set_bits_
from lada.nn.families import family_of, usable_positions
from lada.nn.pretrained import (
    check_encoder_folder,
    encoder_config,
    load_classifier,
)
from lada.nn.statistics import gather

log = logging.getLogger("lada")

VALUES = ("int8", "fp16", "fp32", *FEW_BITS)

AUTOS = tuple(dict.fromkeys(kind.auto for kind in KINDS.values()))
"""The Auto classes whose models are supported."""


def prepare(
    model: PreTrainedModel | str | Path,
    *,
    target: float = 7.5,
    steps: int = 1000,
    method: str | MethodSettings = "lada",
    ratios: RatiosConfig | None = None,
    schedule: ScheduleConfig | None = None,
    distill: DistillConfig | None = None,
    batches: Iterable[Mapping[str, Tensor]] | None = None,
    max_length: int | None = None,
    values: str = "int8",
) -> Compression:
    """Make a student of a fine-tuned model and plan its rounds; your loop trains it.

    ``model`` is left as it is; the student is ``compression.model``, in training mode, on the same
    device. Call `Compression.before_step` before every optimizer step, or give the compression to
    `lada.HybridCompressionCallback` (Lightning) or `lada.CompressionTrainerCallback` (Hugging Face
    Trainer). `Compression.distillation_loss` is the loss of the method.

    Args:
        model: a `BertForSequenceClassification`, a `BertForTokenClassification` or one of another
            family, or a folder of one.
        target: parameters of ``model`` over nonzero parameters of the student at the end.
        steps: optimizer steps of the training, which the rounds are spread over.
        method: its name, or its settings.
        ratios: how the target is split over word embeddings, rank and pruning.
        schedule: when the rounds fall, and how fast the ratio goes to the target.
        distill: the weights of the distillation loss.
        batches: of training examples, about 1,000 in all, for settings that look at what the
            model's layers see (``factorizer="whitened"``, ``score="activation"``): ``input_ids``
            and ``attention_mask``; ``token_type_ids``, or none; ``labels`` with
            ``factorizer="fisher"`` or ``"fisher_whitened"``.
        max_length: tokens of the longest example, for settings with ``whole="trimmed"``.
        values: how `lada.save` will store it; with "int4", "int3", "int2" (ternary) or "int1" its
            compressed matrices compute with values of so many bits from the first step on.

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
    if values not in VALUES:
        raise LadaError(f"values={values!r}: choose one of {', '.join(VALUES)}.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise LadaError(f"steps={steps!r}: must be a positive integer.")
    dense = _dense(model)
    kind = kind_for(auto_of(dense), dense.config)
    family = family_of(dense.config).model_type
    context = Context(
        target=float(target),
        kind=kind,
        head=(head := head_named(kind, class_names(dense.config))),
        family=family,
        length=max_length,
        ratios=ratios or RatiosConfig(),
        schedule=schedule or ScheduleConfig(),
        distill=distill or DistillConfig(),
        values=values,
    )
    if max_length is not None:
        _check_length(max_length, settings, usable_positions(dense.config))
    settings.check(context)
    if context.distill.balance != "fixed":
        raise LadaError(
            f"distill.balance={context.distill.balance}: measures gradients in the steps of a run, "
            "which a loop of your own makes by itself. Use lada.compress, or leave it out."
        )
    if batches is not None:
        if not settings.needs_statistics:
            raise LadaError(
                f"batches: are not used by these settings of method={settings.name}. Leave them "
                "out."
            )
        if settings.needs_gradients:
            statistics = gather(dense, _labelled(batches), head.summed)
        else:
            statistics = gather(dense, batches)
        if not statistics.tokens:
            raise LadaError("batches: have no tokens. Give about 1,000 training examples.")
        context = replace(context, statistics=statistics)
    if isinstance(settings, RankSettings) and settings.needs_spectra:
        context = replace(context, spectra=settings.parts(context).spectra_of(dense))
    made = settings.make(context)
    for what in terms_left_out(settings.make(replace(context, family="bert")).maps, family):
        log.warning("method=%s: its loss leaves out %s", settings.name, what)
    made.plan(dense, 1)  # an impossible target is told before what is wrong with the rounds
    at = context.schedule.rounds_at(context.target, steps)
    plan = made.plan(dense, len(at))
    student = made.build(dense, plan)
    set_bits_(student, values)
    return Compression(student, made, plan, at[: len(plan.rounds)], head)


def _labelled(batches: Iterable[Mapping[str, Tensor]]) -> Iterator[Mapping[str, Tensor]]:
    """The same, if they have labels."""
    for batch in batches:
        if "labels" not in batch:
            raise LadaError(
                "batches: have no labels, which these settings of the method need. Give batches "
                "with labels, or method.factorizer=whitened."
            )
        yield batch


def _check_length(length: Any, settings: MethodSettings, positions: int) -> None:
    if isinstance(length, bool) or not isinstance(length, int) or not 2 <= length <= positions:
        raise LadaError(
            f"max_length={length!r}: must be a whole number from 2 to {positions}, the positions "
            "of the model."
        )
    if getattr(settings, "whole", "paper") != "trimmed":
        raise LadaError(
            f"max_length: is not used by these settings of method={settings.name}. Leave it out, "
            'or give whole="trimmed".'
        )


def _settings(method: str | MethodSettings) -> MethodSettings:
    if isinstance(method, str):
        settings = find_method(method)()
    elif isinstance(method, MethodSettings):
        settings = method
    else:
        raise LadaError(
            f"method: is of type {type(method).__name__}. Give the name of a method, or its "
            "settings."
        )
    if settings.needs_run is not None:
        usable = [name for name, known in methods().items() if known.needs_run is None]
        raise LadaError(
            f"method={settings.name}: {settings.needs_run}. Use lada.compress, or one of "
            f"{', '.join(usable)}."
        )
    if settings.trims_tokens:
        raise LadaError(
            "method.vocabulary=trim: needs the training texts and the tokenizer, which a loop of "
            "your own does not give. Use lada.compress, or leave it out."
        )
    return settings


def _dense(model: Any) -> PreTrainedModel:
    """The dense model, if it can be compressed."""
    if isinstance(model, str | Path):
        folder = Path(model)
        if not folder.is_dir():
            raise LadaError(f"model={model}: no such folder. Give a fine-tuned model.")
        check_encoder_folder(folder, "model")
        config = encoder_config(folder)
        auto = auto_named(config)
        problem = KINDS[kind_for(auto, config)].problem
        with torch.random.fork_rng(devices=[]):
            found: PreTrainedModel = load_classifier(
                folder,
                class_names(config),
                0,
                fine_tuned=True,
                key="model",
                problem=problem,
                auto=auto,
            )
        return found
    if not isinstance(model, PreTrainedModel):
        raise LadaError(
            f"model: is of type {type(model).__name__}, not supported. Give a "
            "BertForSequenceClassification, one of another family, or its folder."
        )
    wanted = [model_class(model.config, auto) for auto in AUTOS]
    if not isinstance(model, tuple(wanted)):
        raise LadaError(
            f"model: is of type {type(model).__name__}, not supported. Give a "
            f"{' or '.join(one.__name__ for one in wanted)}."
        )
    for name, p in model.named_parameters():
        if p.dtype != torch.float32:
            raise LadaError(f"model: {name} is {p.dtype}. Give it in float32: model.float().")
        if not bool(torch.isfinite(p).all()):
            raise LadaError(f"model: {name} has NaN or infinite values. Fine-tune it again.")
    return model
