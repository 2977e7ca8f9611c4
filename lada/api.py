"""`compress`: the command line's run, for a notebook or a program."""

import hashlib
import importlib
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from transformers import PreTrainedModel
from transformers.utils import logging as hf_logging

from lada.config import (
    ArtifactConfig,
    CallbacksConfig,
    Config,
    DataConfig,
    DistillConfig,
    LoggerConfig,
    OptimConfig,
    PathsConfig,
    RatiosConfig,
    ReportConfig,
    ScheduleConfig,
    TeacherCacheConfig,
    TeacherConfig,
    TrainerConfig,
)
from lada.config.unused import check_unused
from lada.data.columns import PROBABILITIES, by_key
from lada.data.examples import Examples, is_file, read_examples
from lada.data.objects import TASKS as OF_OBJECTS
from lada.data.objects import examples_of, file_of_texts
from lada.data.table import Columns, Layout
from lada.data.tagged import Fields
from lada.data.tasks import task_spec
from lada.errors import LadaError
from lada.given import Given, take_model
from lada.keywords import Request, by_keywords
from lada.methods import MethodSettings
from lada.result import Result
from lada.run.compress import compress as run
from lada.run.machine import processes_of
from lada.run.runs import choose_folder
from lada.state import restored, without_bars
from lada.training.processes import check_processes
from lada.training.stop import Stopped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger("lada")


def compress(
    model: str | Path | PreTrainedModel = "minilm-l6",
    train: Any = None,
    dev: Any = None,
    *,
    test: Any = None,
    unlabeled: Any = None,
    target: float | None = 7.5,
    mb: float | None = None,
    method: str | MethodSettings = "lada",
    task: str | None = None,
    data_dir: str | Path | None = None,
    tokenizer: "PreTrainedTokenizerBase | None" = None,
    fine_tune: bool = False,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | list[str] | None = None,
    kind: str | None = None,
    query: str | None = None,
    separator: str | None = None,
    probabilities: str | list[str] | None = None,
    probabilities_weight: float | None = None,
    max_length: int | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    seed: int = 1,
    values: Literal["int8", "fp16", "fp32", "int4", "int3", "int2", "int1"] = "int8",
    output: str | Path | None = None,
    progress: Literal["auto", "bar", "lines", "none"] = "auto",
    resume: str = "auto",
    compile: bool = False,
    submit: bool = False,
    delimiter: str | None = None,
    encoding: str | None = None,
    teacher: TeacherConfig | None = None,
    ratios: str | RatiosConfig | None = None,
    schedule: str | ScheduleConfig | None = None,
    distill: str | DistillConfig | None = None,
    optim: OptimConfig | None = None,
    data: DataConfig | None = None,
    teacher_cache: TeacherCacheConfig | None = None,
    trainer: TrainerConfig | None = None,
    callbacks: CallbacksConfig | None = None,
    report: ReportConfig | None = None,
    logger: str | LoggerConfig | None = None,
    artifact: ArtifactConfig | None = None,
    paths: PathsConfig | None = None,
) -> Result:
    """Make a smaller model for one task; the same as ``python train.py``, to the last bit.

    The smaller model is written, read back from its file and scored on ``dev``. Only a progress bar
    is printed, and the state of the process is restored: random number generators, threads,
    loggers, warning filters and the environment.

    Args:
        model: a transformers model of a known family (then ``tokenizer`` is required), a folder, a
            model id of the hub, or the name of a pretrained model: ``minilm-l6``, ``bert-base``,
            ``tiny``. A model with a head is taken as the teacher; from a model that has a name, and
            from an encoder with ``fine_tune``, a teacher is fine-tuned first. The object itself is
            not changed.
        train: the examples to train on: a list of dicts, a `datasets.Dataset`, a pandas frame, or
            the path of a CSV, TSV or JSON lines file. The validation split is cut from them.
        dev: the same, to score the result on.
        test: the same, scored once beside ``dev`` and used for no choice; None: none.
        unlabeled: texts without labels, which the student learns from its teacher: strings, dicts,
            or the path of a file; None: none.
        target: how many times smaller; None for methods with a fixed size.
        mb: instead of ``target``, the most megabytes (10^6 bytes) of the file of weights.
        method: its name, or its settings.
        task: a built-in task instead of ``train`` and ``dev``: demo, sst2, mnli,
            qqp, qnli, cola, mrpc, rte, stsb, wnli. Or what ``train`` and ``dev`` are if they are
            not labelled texts: ``conll``, dicts with words and tags; ``squad``, dicts with
            question, context, answer and answer_start; ``texts``, texts without labels, and
            pairs with scores as ``dev``; or files of these (docs/running.md).
        data_dir: folder of the task's files in GLUE's layout; None: from the hub.
        tokenizer: of a model object.
        fine_tune: train a teacher from ``model`` first. A head for other classes is replaced.
        text: column of the text, or of the first text ("text").
        text_pair: column of the second text, if examples are pairs.
        label: column of the label ("label"): strings, integers, booleans, lists; or a list of
            columns of 0 and 1, one for each label.
        kind: of the labels: ``single_label``, ``multi_label``, ``regression``; None: found from
            them, if they can be of one kind only.
        query: column of the query, for rerankers.
        separator: of several labels in one string; None: labels are lists.
        probabilities: column with the predictions of another model for training examples: a list in
            the order of the labels, or a number for a regression; or a list of columns, one named
            for each label. An example may have none.
        probabilities_weight: of these, the teacher's predictions have the rest; None: 0.5.
        max_length: tokens that an example is truncated to; None: by the task, 128 for your own.
        epochs: of the compression; None, as ``steps``: 3, but at least 1,000 steps.
        steps: optimizer steps of the compression, instead of ``epochs``.
        lr: learning rate of the compression; None: that of the model.
        batch_size: examples per optimizer step; None: 32.
        seed: of all random numbers.
        values: how the file stores values; int4 to int1: in few bits, which it is trained in.
        output: folder of the run; None: a new one in ``paths.outputs``, or that of an unfinished
            run with the same arguments.
        progress: ``auto``: a bar in a terminal and in a notebook, else nothing; ``lines``: a line
            per validation check on stderr; ``none``: also no warnings.
        resume: ``auto``: resume the unfinished run of the same arguments; ``never``; a checkpoint.
        compile: compile the student by torch.compile.
        submit: answer the GLUE test files of ``data_dir``, for GLUE's server.
        delimiter: of files; None: by their names.
        encoding: of files; None: UTF-8.
        teacher: how a teacher is fine-tuned.
        ratios: how the target is split: ``solved``, ``scaled``, ``fast``, ``paper``, or settings.
        schedule: when the rounds take place: ``geometric``, ``linear``, ``cubic``, or settings.
        distill: weights of the distillation terms: ``four``, ``prediction``, or settings.
        optim: the optimizer.
        data: size and cut of the validation split, processes that make batches.
        teacher_cache: disk space for the teacher's stored outputs.
        trainer: device, precision, threads. ``strategy="ddp"`` is for the command line.
        callbacks: how often checkpoints are written.
        report: whether report.html shows examples.
        logger: where curves go: ``csv``, ``wandb``, ``trackio``, ``mlflow``, ``tensorboard``, or
            settings.
        artifact: as ``values``.
        paths: folders of runs, teachers and caches.

    Raises:
        LadaError: a mistake of the caller, in one line that starts with the argument; before
            training, if it can be known before.
        KeyboardInterrupt: on Ctrl-C, after the step, with a checkpoint; the same call resumes.

    Example:
        >>> import lada
        >>> from lada.config import TeacherConfig
        >>> adjectives = {"good": ("lovely", "great"), "bad": ("awful", "poor")}
        >>> train, dev = (
        ...     [
        ...         {"text": f"what {word} soup {number}", "label": label}
        ...         for number in numbers
        ...         for label, words in adjectives.items()
        ...         for word in words
        ...     ]
        ...     for numbers in (range(80), range(80, 100))
        ... )
        >>> result = lada.compress(
        ...     "tiny", train, dev, target=4, steps=60, teacher=TeacherConfig(steps=60),
        ...     max_length=16, progress="none",
        ... )
        >>> round(result.ratio, 1)
        4.0
        >>> lada.compress("tiny", train, dev, target=0.5)
        Traceback (most recent call last):
        ...
        lada.errors.LadaError: target=0.5: must be at least 1 and at most 1,000,000.
    """
    given = dict(locals())
    with by_keywords(model):
        try:
            with ExitStack() as stack:
                stack.enter_context(restored(compiled=compile))
                hf_logging.disable_progress_bar()  # models are loaded in well under a second
                if progress == "none":
                    importlib.import_module("datasets")
                    stack.enter_context(without_bars())
                stack.enter_context(_lines(progress))
                return _compress(given)
        except Stopped as stop:
            signum = stop.signum
        # The checkpoint is written: the signal is for whom it would have been for.
        signal.raise_signal(signum)
        raise KeyboardInterrupt


def _compress(given: dict[str, Any]) -> Result:
    request = Request(given)
    task = given["task"]
    data = {name: given[name] for name in ("train", "dev", "test")}
    _check_data(task, data)
    config = request.config()  # mistakes in the settings are reported before anything is read
    if config.trainer.strategy == "ddp":
        raise LadaError(
            "trainer.strategy=ddp: it starts processes, which only the command line can. "
            "Use lada compress trainer=ddp."
        )
    check_processes(processes_of(config.trainer))
    examples = None
    if task is None or task in OF_OBJECTS:
        examples = _take_examples(request, config, data)
    if given["unlabeled"] is not None:
        file = _take_texts(given["unlabeled"], config)
        request.put("task.unlabeled_file", str(file))
    start = take_model(
        given["model"],
        given["tokenizer"],
        # Without labels there is no fine-tuning: the pretrained model is the teacher.
        fine_tune=given["fine_tune"] or task == "texts",
        cache=Path(config.paths.cache),
    )
    _take_start(request, start)
    config = request.config()
    check_unused(config, request.words())
    output = given["output"]
    folder = _new_folder(config) if output is None else Path(output)
    folder = choose_folder(config, folder, output is not None)
    done = run(config, folder, request.words(), named=output is not None, examples=examples)
    assert done is not None  # this process is alone
    return Result(*done)


def _check_data(task: str | None, data: dict[str, Any]) -> None:
    given = task is None or task in OF_OBJECTS
    if given and data["train"] is None:
        raise LadaError(
            'train: is not given. Give train and dev, or a built-in task, such as task="demo".'
        )
    if task == "csv":
        raise LadaError("task=csv: this is the command line's name for your own data. Remove it.")
    for name, examples in data.items():
        if given and name == "dev" and examples is None:
            raise LadaError(f"{name}: is not given. Give the examples to score the result on.")
        if not given and examples is not None:
            raise LadaError(f"{name}: task={task} has its own examples. Give only one of both.")


def _take_examples(request: Request, config: Config, data: dict[str, Any]) -> Examples | None:
    """Put the examples into the request; None if the run itself reads them from files.

    Args:
        data: train, dev and test; test may be None.
    """
    given = {name: each for name, each in data.items() if each is not None}
    if all(map(is_file, given.values())):
        for name, each in given.items():
            request.put(f"task.{name}_file", str(each))
        return None
    t = config.task
    columns = Columns(
        t.text or "text",
        t.text_pair,
        t.label or "label",
        t.query,
        t.kind,
        t.separator,
        t.probabilities,
    )
    layout = Layout(t.delimiter, t.encoding)
    if t.name in OF_OBJECTS:
        examples = examples_of(t.name, given, layout, columns, Fields(t.text, t.label))
    else:
        examples = read_examples(data["train"], data["dev"], columns, layout, data["test"])
    # A run is found again by the content of its examples, as with files by their names.
    for split in (examples.train, examples.dev, examples.test):
        if split is not None:
            digest = f"python:{split.digest[:16]}"
            if split.given is not None:
                digest += f"-{hashlib.sha256(split.given.tobytes()).hexdigest()[:16]}"
            request.put(f"task.{split.name}_file", digest, told=False)
    return examples


def _take_texts(given: Any, config: Config) -> Path:
    """The file of texts without labels."""
    t = config.task
    first, *more = task_spec(t.name).columns or (t.text or "text", t.text_pair)
    return file_of_texts(
        given,
        Path(config.paths.cache),
        first,
        more[0] if more else None,
        {} if t.probabilities is None else by_key(PROBABILITIES, t.probabilities),
    )


def _take_start(request: Request, start: Given) -> None:
    request.choose("model", start.name)
    if start.is_teacher:
        request.choose("teacher", "folder")
        request.put("teacher.path", str(start.folder))
    elif start.folder is not None:
        request.put("model.path", str(start.folder))


def _new_folder(config: Config) -> Path:
    now, target = datetime.now(), config.target.ratio
    size = "none" if target is None else f"{target:g}x"
    if config.target.mb is not None:
        size = f"{config.target.mb:g}mb"
    name = f"{now:%H-%M-%S}-{config.task.name}-{config.method.name}-{size}"
    wanted = Path(config.paths.outputs) / f"{now:%Y-%m-%d}" / name
    # Several runs may start in the same second.
    others = (wanted.with_name(f"{name}-{number}") for number in count(2))
    return next(folder for folder in chain([wanted], others) if not folder.exists())


@contextmanager
def _lines(progress: str) -> Iterator[None]:
    """Set up the log of a run as ``progress`` asks; `restored` undoes it."""
    if progress == "lines":
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    elif progress == "none":
        log.setLevel(logging.ERROR)
    yield
