"""The preparation of a run before training: data, model, plan, steps."""

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from lada.artifact.expected import ratio_for
from lada.config import Config
from lada.data.examples import Examples
from lada.data.glue import load_tests
from lada.data.source import load_task
from lada.data.split import Split, TaskData
from lada.data.tasks import task_spec
from lada.data.tokens import Encoded, encode, joined
from lada.errors import LadaError
from lada.heads import head_named
from lada.heads.base import Found, Head
from lada.heads.kinds import KINDS
from lada.methods.base import Method
from lada.methods.families import terms_left_out
from lada.methods.settings import Context
from lada.nn.families import family_of, usable_positions
from lada.nn.fewer_tokens import check_trimmable, with_fewer_tokens
from lada.nn.pretrained import (
    check_encoder_folder,
    find_model,
    load_classifier,
    load_tokenizer,
)
from lada.ops.allocate import Spectra
from lada.ops.plan import Plan
from lada.ops.schedule import first_step
from lada.ops.statistics import Statistics
from lada.run.fitting import (
    as_published,
    check_copies,
    check_given,
    check_scores,
    check_taught,
    check_tokens,
    with_classes_of,
)
from lada.run.length import Length, settled_student, settled_teacher, student_length
from lada.run.machine import Machine, settle
from lada.run.vocabulary import Fewer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

log = logging.getLogger("lada")


@dataclass(frozen=True)
class Job:
    """A prepared run: all that is known before training.

    Attributes:
        config: with the epochs or the steps of each training.
        base: folder of the pretrained (or given, fine-tuned) model; None for the tiny one.
        train: tokens of the labelled training examples, which the teacher is fine-tuned on.
        learned: those, the texts without labels, and the changed copies once they are made, which
            the student is trained on.
        dev: tokens of each dev split by name.
        steps: optimizer steps of the compression; 0 for a method without training.
        interval: optimizer steps between two validation checks.
        epochs: how often each training example is used.
        head: the kind of the task.
        left_out: terms that the loss lacks with a teacher of this family, a sentence each.
        statistics: what the layers of the teacher see of training examples; None: not known yet.
        spectra: of the teacher's matrices; None: not known yet, or not used.
        at: the steps before which the rounds of ``plan`` take place.
        fewer: what the student reads, if it has fewer tokens than its teacher. All other tokens
            here are the teacher's; `of_student` has the student's.
        copies: the changed copies of training examples; None: none, or not made yet.
    """

    config: Config
    overrides: list[str]
    method: Method
    base: Path | None
    tokenizer: "PreTrainedTokenizerFast"
    data: TaskData
    train: Encoded
    learned: Encoded
    validation: Encoded
    dev: dict[str, Encoded]
    plan: Plan
    steps: int
    interval: int
    epochs: float
    at: list[int]
    machine: Machine
    head: Head
    family: str = "bert"
    left_out: tuple[str, ...] = ()
    statistics: Statistics | None = None
    spectra: Spectra | None = None
    fewer: Fewer | None = None
    copies: Split | None = None

    def of_student(self) -> "Job":
        """The job with the tokenizer and the tokens of the student."""
        if self.fewer is None:
            return self
        tokens = self.fewer.tokens
        return replace(
            self,
            tokenizer=tokens.tokenizer,
            train=replace(self.train, ids=tokens.renumbered(self.train.ids)),
            learned=replace(self.learned, ids=tokens.renumbered(self.learned.ids)),
            validation=self.fewer.validation,
            dev=self.fewer.dev,
        )

    def compressed(self, teacher: "PreTrainedModel") -> "PreTrainedModel":
        """What is compressed: the teacher, or a copy of it that has the student's tokens alone."""
        return teacher if self.fewer is None else self.fewer.tokens.model(teacher)

    def taught_by(self, outputs: Found) -> "Job":
        """The job with what its losses, and scores of validation, take from the teacher's outputs
        on the validation split.
        """
        head = self.head.taught_by(outputs).compared_with(outputs, self.data.validation)
        return replace(self, head=head)._remade()

    def with_statistics(self, statistics: Statistics) -> "Job":
        """The job with what the layers of its teacher see of training examples."""
        if self.fewer is not None:
            statistics = statistics.of_tokens(torch.from_numpy(self.fewer.tokens.kept))
        return replace(self, statistics=statistics)._remade()

    def with_copies(self, copies: Split) -> "Job":
        """The job with changed copies of its training examples, which its student learns too."""
        length, cache = self.config.task.max_length, Path(self.config.paths.cache)
        tokens = encode(copies, self.tokenizer, length, cache)
        return replace(self, copies=copies, learned=joined(self.learned, tokens))

    def with_spectra(self, spectra: Spectra, teacher: "PreTrainedModel") -> "Job":
        """The job with the plan that these spectra of its teacher make.

        The plan before was by shapes alone; its rounds take place before the same steps. A ratio
        for a target in megabytes is solved again.
        """
        job = replace(self, spectra=spectra)
        context = job.context
        if self.config.target.mb is not None:
            compressed = self.compressed(teacher)
            context = replace(context, target=_ratio_of(self.config, context, teacher, compressed))
        method = self.config.method.make(context)
        return replace(job, method=method, plan=method.plan(teacher, len(self.at)))

    def _remade(self) -> "Job":
        """The job with its method made for what is known now."""
        return replace(self, method=self.config.method.make(self.context))

    @property
    def context(self) -> Context:
        """What its method is made for, as far as it is known now."""
        return replace(
            self.config.context,
            kind=self.head.name,
            head=self.head,
            family=self.family,
            statistics=self.statistics,
            target=self.plan.target,
            spectra=self.spectra,
            tokens=None if self.fewer is None else len(self.fewer.tokens),
        )

    @property
    def device(self) -> str:
        """``cuda`` or ``cpu``, as torch names them."""
        return self.machine.device

    @property
    def renewals(self) -> list[int]:
        """The steps before which factors are recomputed; after them the rate warms up again."""
        if getattr(self.config.method, "lower_rank", None) != "refactorize":
            return []
        return [self.at[index] for index in self.plan.lowerings]

    @property
    def stages(self) -> list[int]:
        """The steps before which a further stage of the training begins, with a rate of its own."""
        return [first_step(share, self.steps) for share in self.config.method.stages]


def prepare(config: Config, overrides: list[str], examples: Examples | None = None) -> Job:
    """Read the data, check all settings and plan; all mistakes of a user are found here.

    Args:
        examples: already read, instead of the files of task=csv.

    Raises:
        LadaError: a setting, a file or a model is wrong.
    """
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise LadaError("trainer.accelerator=gpu: torch finds no CUDA device. Set auto or cpu.")
    if config.submit:  # read again when needed, so that it takes no memory during training
        load_tests(task_spec(config.task.name), config.data.dir)
    check_taught(config)
    given = config.teacher.path is not None
    if config.teacher.path is not None:
        base: Path | None = Path(config.teacher.path)
        check_encoder_folder(Path(config.teacher.path), "teacher.path")
    else:
        base = find_model(config.model.name, config.model.path)
    t = config.task
    data = load_task(
        t.name,
        data_dir=config.data.dir,
        validation_examples=config.data.validation,
        split_by=config.data.split_by,
        train_file=t.train_file,
        dev_file=t.dev_file,
        test_file=t.test_file,
        unlabeled_file=t.unlabeled_file,
        text=t.text,
        text_pair=t.text_pair,
        label=t.label,
        kind=t.kind,
        query=t.query,
        separator=t.separator,
        probabilities=t.probabilities,
        delimiter=t.delimiter,
        encoding=t.encoding,
        examples=examples,
    )
    if base is not None and given and KINDS[data.kind].labelled and data.kind != "spans":
        data = with_classes_of(base, data, KINDS[data.kind].problem)
    check_copies(config, data)
    head = head_named(data.kind, data.labels, data.metrics).fitted(data.train)
    head = as_published(head, base, "teacher.path" if given else "model.path")
    check_given(head, data)
    context = replace(config.context, kind=head.name, head=head)
    config.method.check(context)  # before the model is loaded, which takes long
    dense = load_classifier(
        base,
        data.labels,
        config.seed,
        fine_tuned=given,
        problem=head.kind.problem,
        auto=head.kind.auto,
    )
    family = family_of(dense.config).model_type
    left_out = terms_left_out(config.method.make(context).maps, family)
    for what in left_out:
        log.warning("method=%s: its loss leaves out %s", config.method.name, what)
    context = replace(context, family=family)
    config.method.check(context)
    trims = config.method.trims_tokens
    if config.target.mb is not None and not trims:
        context = replace(context, target=_ratio_of(config, context, dense, dense))
    method = config.method.make(context)
    if method.trained and not method.taught:
        check_scores(head, data, base)
    positions = usable_positions(dense.config)
    if t.max_length > positions:
        raise LadaError(
            f"task.max_length={t.max_length}: the model has {positions} positions. Set "
            f"{positions} or less."
        )
    # First a plan without rounds: an impossible target is rejected before tokenization, unless that
    # decides what is possible.
    if not trims:
        method.plan(dense, 1)
    tokenizer = load_tokenizer(base, [*data.train.texts, *(data.train.pairs or [])])
    cache = Path(config.paths.cache)
    table = dense.config.vocab_size
    most = max(len(tokenizer), 1 + max(tokenizer.get_vocab().values(), default=0))
    if most > table:
        raise LadaError(
            f"{base}: its tokenizer has {most} tokens, its model {table}. Give a folder whose "
            "tokenizer and model match."
        )
    if trims:
        check_trimmable(tokenizer)

    def encoded(split: Split, by: "PreTrainedTokenizerFast" = tokenizer) -> Encoded:
        if head.per_token:
            return head.windows(split, by, t.max_length)
        if not head.kind.labelled:
            split = split.one_by_one()
        return encode(split, by, t.max_length, cache)

    train = encoded(data.train)
    check_tokens(train, tokenizer, data, base, config.method.name)
    learned = train if data.unlabeled is None else joined(train, encoded(data.unlabeled))
    fewer = None
    if trims:
        tokens = with_fewer_tokens(tokenizer, np.unique(learned.ids).tolist(), dense.config)
        log.info("vocabulary: %d of %d tokens are kept", len(tokens), tokens.of)
        fewer = Fewer(
            tokens,
            encoded(data.validation, tokens.tokenizer),
            {name: encoded(split, tokens.tokenizer) for name, split in data.dev.items()},
        )
        context = replace(context, tokens=len(tokens))
        if config.target.mb is not None:
            smaller = tokens.model(dense)
            context = replace(context, target=_ratio_of(config, context, dense, smaller))
        method = config.method.make(context)
        method.plan(dense, 1)
    count = len(learned) + config.data.augment * len(train)
    config = replace(
        config,
        optim=settled_student(config, count),
        teacher=config.teacher if given else settled_teacher(config, len(train)),
    )
    length = student_length(config, count)
    at = config.schedule.rounds_at(
        context.target,
        length.steps,
        epoch=math.ceil(count / config.optim.batch_size),
    )
    plan = method.plan(dense, len(at))
    at = at[: len(plan.rounds)]
    if not method.trained:
        length = Length(steps=0, interval=1, epochs=0.0)  # no example is used
    return Job(
        config=config,
        overrides=overrides,
        method=method,
        base=base,
        tokenizer=tokenizer,
        data=data,
        train=train,
        learned=learned,
        validation=encoded(data.validation),
        dev={name: encoded(split) for name, split in data.dev.items()},
        plan=plan,
        steps=length.steps,
        interval=length.interval,
        epochs=length.epochs,
        at=at,
        machine=settle(config),
        head=head,
        family=family,
        left_out=left_out,
        fewer=fewer,
    )


def _ratio_of(
    config: Config, context: Context, dense: "PreTrainedModel", compressed: "PreTrainedModel"
) -> float:
    """The ratio of a target in megabytes.

    Args:
        compressed: see `Job.compressed`.
    """
    assert config.target.mb is not None

    def plan_at(ratio: float) -> Plan:
        return config.method.make(replace(context, target=ratio)).plan(dense, 1)

    ratio = ratio_for(config.target.mb, plan_at, compressed, config.artifact.values)
    log.info("target: at most %g MB is expected at x%g", config.target.mb, ratio)
    return ratio
