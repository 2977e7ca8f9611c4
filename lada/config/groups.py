"""The groups of the config, one class each: every key has its default, range and meaning here."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from lada.data.tasks import TASKS, task_spec
from lada.errors import LadaError
from lada.heads.kinds import KINDS
from lada.limits import (
    FLOAT32,
    processes,
    threads,
    why_processes,
    why_threads,
)
from lada.schema import Column, Text, consistent, setting, settings

_LONG = "no model of this kind has been trained for longer"
_BATCH = "the largest batch that BERT has been trained with"
_DECAY = "one step at a rate of 1e-3 takes a weight to zero"


def _no_shards(value: Any) -> Any:
    """Tell those who ask for another strategy of Lightning why there is none."""
    why = {
        "fsdp": "it keeps each matrix in pieces, and a round needs whole matrices",
        "deepspeed": "its optimizer keeps copies of the weights that no mask reaches",
    }
    if isinstance(value, str) and value in why:
        raise PydanticCustomError(
            "strategy", "is not supported: {why}. Use ddp.", {"why": why[value]}
        )
    return value


def _is_known(name: str) -> str:
    if name not in TASKS:
        raise PydanticCustomError(
            "task", "no such task. Choose one of {names}.", {"names": ", ".join(TASKS)}
        )
    return name


def _is_kind(name: str) -> str:
    if name not in KINDS:
        raise PydanticCustomError(
            "kind", "no such kind. Choose one of {names}.", {"names": ", ".join(KINDS)}
        )
    return name


def _in_a_list(value: Any) -> Any:
    """Several columns as the text of a JSON list, which is how the rest of the config has them."""
    if not isinstance(value, list | tuple):
        return value
    if len(value) < 2 or not all(isinstance(name, str) for name in value):
        raise PydanticCustomError(
            "columns", "must be a column or a list of two columns or more, as texts."
        )
    return json.dumps(list(value), ensure_ascii=False)


Columns = Annotated[Column, BeforeValidator(_in_a_list)]
"""A column, or a list of them."""

KindName = Annotated[Text, AfterValidator(_is_kind)]

TaskName = Annotated[Text, AfterValidator(_is_known)]

Strategy = Annotated[Literal["single", "ddp"], BeforeValidator(_no_shards)]


@settings("task")
class TaskConfig:
    """What is learned."""

    name: TaskName = setting("demo", "a built-in task, or `csv`: your own data")
    kind: KindName | None = setting(
        None,
        "of the labels: single_label, multi_label, regression, ...; null: by task and data",
        later=True,
    )
    max_length: int = setting(64, "tokens that an example is truncated to", least=4, most=512)
    train_file: Text | None = setting(
        None,
        "`task=csv`: CSV, TSV or JSON lines; `task=conll`: CoNLL or JSON lines; `task=squad`: "
        "SQuAD's JSON, CSV, TSV or JSON lines; `task=texts`: one text per line, or as csv; plain "
        "or .gz",
        reads=True,
        free=True,
    )
    dev_file: Text | None = setting(
        None,
        "the same, to score the result on; `task=texts`: pairs with scores, as csv",
        reads=True,
        free=True,
    )
    test_file: Text | None = setting(
        None,
        "the same, scored once beside it and used for no choice",
        reads=True,
        free=True,
        later=True,
    )
    unlabeled_file: Text | None = setting(
        None,
        "texts without labels, which the student learns from its teacher: as `train_file`, or .txt",
        reads=True,
        free=True,
        later=True,
    )
    text: Column | None = setting(
        None, "`task=csv`, `texts`: column of the (first) text; `conll`: of the words"
    )
    text_pair: Column | None = setting(
        None, "`task=csv`, `texts`: column of the second text; null: none"
    )
    label: Columns | None = setting(
        None,
        "`task=csv`, `texts`: column of the label; or `[a,b]`: columns of 0 and 1, a label each; "
        "`conll`: of the tags",
    )
    query: Column | None = setting(
        None,
        "`task.kind=regression`: column of the query, for rerankers; it may be a text's",
        later=True,
    )
    separator: Text | None = setting(
        None, "`task.kind=multi_label`: between labels in one column, `\\|`; null: JSON lists",
        free=True,
    )  # fmt: skip
    probabilities: Columns | None = setting(
        None,
        "`task=csv`: column of what another model says of the training examples; or `[a,b]`: a "
        "column for each class",
        later=True,
    )
    probabilities_weight: float | None = setting(
        None, "of these, the teacher's predictions have the rest; null: 0.5", least=0.0, most=1.0,
        later=True,
    )  # fmt: skip
    delimiter: Text | None = setting(
        None, "`task=csv`, `texts`: tab, semicolon, ...; null: by the files' names", free=True
    )
    encoding: Text | None = setting(
        None, "of the files: latin-1, utf-16, ...; null: UTF-8", free=True
    )

    @property
    def given_weight(self) -> float:
        """The weight of what another model says."""
        return 0.5 if self.probabilities_weight is None else self.probabilities_weight

    @property
    def pairs(self) -> bool:
        """Whether its examples are pairs of texts."""
        spec = task_spec(self.name)
        return len(spec.columns) == 2 or (self.text_pair is not None and spec.name != "texts")


@settings("model")
class ModelConfig:
    """The pretrained model that the teacher starts from."""

    name: Text = setting("minilm-l6", "minilm-l6, bert-base, tiny, or `local`: `path`")
    path: Text | None = setting(None, "a folder, or a model id of the hub", reads=True)
    lr: float = setting(3e-4, "`optim.lr` unless that is given", over=0.0, most=1.0)
    teacher_lr: float = setting(1e-4, "`teacher.lr` unless that is given", over=0.0, most=1.0)


@settings("training")
class TrainingConfig:
    """What the trainings of teacher and student share."""

    lr: float | None = setting(None, "peak learning rate; null: by the model", over=0.0, most=1.0)
    epochs: float | None = setting(
        None, "null, as `steps`: 3 epochs, but at least 1000 steps", over=0.0, most=10_000,
        why=_LONG,
    )  # fmt: skip
    steps: int | None = setting(
        None, "optimizer steps, in place of `epochs`", least=1, most=10**8, why=_LONG, later=True
    )
    batch_size: int = setting(32, "examples per optimizer step", least=1, most=65_536, why=_BATCH)
    warmup: float = setting(
        0.1, "fraction of the steps in which the rate rises", least=0.0, most=1.0
    )
    weight_decay: float = setting(
        0.01, "not on biases and LayerNorm", least=0.0, most=1_000, why=_DECAY
    )

    @property
    def rate(self) -> float:
        """The peak learning rate, settled by the config."""
        assert self.lr is not None
        return self.lr

    @consistent("epochs", "steps")
    def _one_length(self) -> None:
        if self.epochs is not None and self.steps is not None:
            group = type(self).__lada_prefix__  # type: ignore[attr-defined]
            raise LadaError(
                f"{group}steps={self.steps}: {group}epochs={self.epochs:g} is given too. Give one "
                f"of them ({group}epochs=null takes it back)."
            )


@settings("teacher")
class TeacherConfig(TrainingConfig):
    """The teacher: fine-tuned now (kept and shared), or given as a folder."""

    path: Text | None = setting(
        None, "a fine-tuned classifier; null: fine-tune `model.path`", reads=True
    )
    margin: float = setting(
        5.0,
        "% of the way from the majority baseline to 100 that it must reach on the validation split",
        least=0.0,
        most=100.0,
        free=True,
    )


@settings("optim")
class OptimConfig(TrainingConfig):
    """AdamW for the student."""

    beta1: float = setting(0.9, "decay of the first moment", least=0.0, most=0.9999)
    beta2: float = setting(0.999, "decay of the second moment", least=0.0, most=0.999999)
    eps: float = setting(1e-6, "added to the root of the second moment", over=0.0, most=1.0)
    clip: float = setting(
        1.0, "largest gradient norm", over=0.0, most=FLOAT32, why="the largest number in fp32"
    )


@settings("target")
class TargetConfig:
    """How many times smaller."""

    ratio: float | None = setting(
        7.5,
        "parameters of the teacher over nonzero parameters of the student; null: the size of a "
        "method that has one of its own",
        least=1.0,
        most=10**6,
        why="no model of this kind has so many parameters to remove",
    )


@settings("data", old={"select": "validation"})
class DataConfig:
    """Where examples come from, and the validation split."""

    dir: Text | None = setting(
        None, "folder with SST-2/, MNLI/, ...; null: the hub", reads=True, free=True
    )
    validation: int | None = setting(
        None,
        "examples of the validation split, which is cut from train and decides every choice; null: "
        "10 %, at most 2000",
        least=1,
        most=10**9,
        why="no data set here has so many examples",
    )
    split_by: Literal["auto", "example", "sentence"] = setting(
        "auto", "what that cut keeps together; `sentence`: with its phrases", free=True
    )
    workers: int | None = setting(
        None,
        "processes that make batches; null: 1 for a GPU, else none",
        least=0,
        most=threads,
        why=why_threads,
        free=True,
    )


@settings("teacher_cache")
class TeacherCacheConfig:
    """The teacher's outputs on the training examples, stored in `paths.cache`."""

    gb: float = setting(
        8.0,
        "10^9 bytes that they may take; beyond it the teacher runs in every step",
        least=0.0,
        most=10**6,
        why="no disk is larger",
    )


@settings("trainer", old={"spikes": "skipped_steps"})
class TrainerConfig:
    """Device, precision and processes."""

    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", "where it trains", free=True)
    precision: Literal["auto", "bf16", "fp32"] = setting(
        "auto", "`auto`: bf16 autocast where the machine computes in it, else fp32"
    )
    threads: int | None = setting(
        None, "of the CPU; null: all", least=1, most=threads, why=why_threads, free=True
    )
    accumulate: int = setting(
        1,
        "parts that each process cuts its share of a batch into",
        least=1,
        most=65_536,
        why="no batch has more examples to be cut into parts",
    )
    checks: int = setting(
        2,
        "validation checks per epoch; of a training by steps at most 20",
        least=1,
        most=10_000,
        why="each goes over the whole validation split",
    )
    strategy: Strategy = setting(
        "single", "`ddp`: several processes, each on a share of every batch"
    )
    devices: int | None = setting(
        None,
        "`ddp`: processes on this machine; null: one for each GPU",
        least=1,
        most=processes,
        why=why_processes,
    )
    num_nodes: int = setting(
        1,
        "`ddp`: machines; for more than 1, start by torchrun or srun",
        least=1,
        most=65_536,
        why="no batch has more examples to be shared",
    )
    jobs_per_gpu: int = setting(
        1,
        "jobs of a sweep on one GPU at once",
        least=1,
        most=128,
        why="each takes some hundred MB of the GPU",
        free=True,
    )
    skipped_steps: int = setting(
        3,
        "bf16: non-finite steps that are skipped before the training stops",
        least=0,
        most=10**6,
        why="a training that skips more learns nothing",
    )

    @consistent("strategy", "devices", "num_nodes")
    def _several_processes_are_ddp(self) -> None:
        if self.strategy != "ddp" and (self.devices or 1) * self.num_nodes > 1:
            raise LadaError(
                f"trainer.devices={'null' if self.devices is None else self.devices}, "
                f"trainer.num_nodes={self.num_nodes}: several processes need trainer=ddp. Add it."
            )

    @property
    def parts(self) -> int:
        """Parts that a batch is cut into by processes and accumulation, as far as is known."""
        return self.accumulate * (self.devices or 1) * self.num_nodes


@settings("callbacks")
class CallbacksConfig:
    """What a person sees while it runs, and checkpoints."""

    progress: Literal["auto", "bar", "lines", "none"] = setting(
        "auto", "`auto`: a bar in a terminal, lines elsewhere", free=True
    )
    checkpoint_minutes: float = setting(
        5.0,
        "a checkpoint so often between validation checks, which write one each",
        least=0.0,
        most=525_600,
        why="a year",
        free=True,
    )
    keep: int = setting(
        2,
        "checkpoints that are kept, besides the best",
        least=1,
        most=10_000,
        why="each takes some times the model's size on disk",
        free=True,
    )


@settings("logger")
class LoggerConfig:
    """Where curves go."""

    name: Literal["csv", "wandb", "tensorboard"] = setting(
        "csv", "`csv`: metrics.csv in the folder of the run", free=True
    )
    project: Text = setting("lada", "project in Weights & Biases", free=True)


@settings("artifact")
class ArtifactConfig:
    """The file that comes out."""

    values: Literal["int8", "fp16", "fp32", "int4", "int3", "int2", "int1"] = setting(
        "int8",
        "how it stores values; `int8`: of matrices, small tensors in fp16; `int4` to `int1`: of "
        "what is compressed, which is trained in them",
    )


@settings("paths")
class PathsConfig:
    """Folders."""

    outputs: Text = setting("outputs", "of runs, one folder each", path=True, free=True)
    teachers: Text = setting(
        ".cache/teachers", "of fine-tuned teachers, by key", path=True, free=True
    )
    cache: Text = setting(
        ".cache/tokens",
        "of tokenized data and teachers' outputs, by content",
        path=True,
        free=True,
    )
