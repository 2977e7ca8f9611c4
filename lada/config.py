"""What conf/ may hold: one dataclass per group, checked before anything is loaded or trained.

Values live in conf/ alone: no field has a default here. Each field's meaning stands beside it.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from lada.data.tasks import task_spec
from lada.data.validation import SPLIT_BY
from lada.errors import LadaError, did_you_mean
from lada.limits import check_limits
from lada.nn.factors import LOWERINGS
from lada.ops.schedule import SHAPES
from lada.program import typed
from lada.values import check_types, shown


@dataclass
class TaskConfig:
    """conf/task: what is learnt."""

    name: str = MISSING  # a row of lada.data.tasks.TASKS
    max_length: int = MISSING  # tokens a row is cut to
    train_file: str | None = MISSING  # task=csv: CSV, TSV or JSONL, plain or .gz
    dev_file: str | None = MISSING  # task=csv
    text: str | None = MISSING  # task=csv: column of the (first) sentence
    text_pair: str | None = MISSING  # task=csv: column of the second sentence, or null
    label: str | None = MISSING  # task=csv: column of the label
    delimiter: str | None = MISSING  # task=csv: tab, semicolon, ...; null: by the files' names
    encoding: str | None = MISSING  # task=csv: latin-1, utf-16, ...; null: UTF-8

    @property
    def pairs(self) -> bool:
        """Whether its rows are pairs of texts."""
        return len(task_spec(self.name).columns) == 2 or self.text_pair is not None


@dataclass
class ModelConfig:
    """conf/model: the pretrained model that the teacher starts from."""

    name: str = MISSING  # minilm-l6, bert-base, local, tiny
    path: str | None = MISSING  # a folder, or a model id of the hub
    lr: float = MISSING  # what optim.lr is unless given: it depends on the model
    teacher_lr: float = MISSING  # what teacher.lr is unless given


@dataclass
class TeacherConfig:
    """conf/teacher: fine-tune one now (kept and shared), or take a folder."""

    path: str | None = MISSING  # a fine-tuned classifier; null: fine-tune model.path
    lr: float = MISSING
    epochs: float | None = MISSING
    steps: int | None = MISSING  # instead of epochs; both null: see lada.training.length
    batch_size: int = MISSING
    warmup: float = MISSING  # share of the steps
    weight_decay: float = MISSING
    margin: float = MISSING  # % of the way from the largest class to 100 that it must come


@dataclass
class MethodConfig:
    """conf/method: how the student is made smaller."""

    name: str = MISSING  # a file of lada/methods/; the other keys go with the method


@dataclass
class RankConfig(MethodConfig):
    """method=factorization, factorization_kd."""

    lower_rank: str = MISSING  # truncate: drop rank directions; refactorize: a new SVD


@dataclass
class PruningConfig(MethodConfig):
    """method=pruning, pruning_kd."""

    threshold: str = MISSING  # factor: each matrix keeps its share; global: one threshold for all


@dataclass
class FactorsConfig(RankConfig, PruningConfig):
    """method=lada, hybrid: both keys; the matrices that are pruned are the factors."""


@dataclass
class TableConfig(MethodConfig):
    """Methods whose students are small by their shape."""

    embedding: str = MISSING  # how the word table meets the target: keep (it does not), svd, prune


@dataclass
class LayersConfig(TableConfig):
    """method=finetune."""

    layers: int | None = MISSING  # that stay; null: a quarter of the teacher's


@dataclass
class KdConfig(LayersConfig):
    """method=kd."""

    alpha: float = MISSING  # weight of the teacher's predictions; the labels have the rest
    temperature: float = MISSING  # that softens both models' predictions


@dataclass
class PkdConfig(KdConfig):
    """method=pkd."""

    beta: float = MISSING  # weight of the [CLS] states
    states: str = MISSING  # the teacher's layers: skip (every k-th) or last


@dataclass
class LayerdropConfig(KdConfig):
    """method=layerdrop."""

    which: str = MISSING  # first, alternate (spread evenly), top


@dataclass
class ShapeConfig(TableConfig):
    """method=bert_small."""

    layers: int | None = MISSING  # null: 4, or the nearest number that divides the teacher's
    width: int | None = MISSING  # channels of a hidden state; null, with inner: by the target
    inner: int | None = MISSING  # units of the feed-forward layers; null with width alone
    heads: int | None = MISSING  # of attention; null: as many as the teacher has
    path: str | None = MISSING  # a pretrained BERT of that shape; null: from scratch


@dataclass
class TinyBertConfig(ShapeConfig):
    """method=tinybert."""

    intermediate: float = MISSING  # share of the steps before the predictions' turn


@dataclass
class BiLstmConfig(TableConfig):
    """method=bilstm."""

    hidden: int = MISSING  # width of the states of one direction
    inner: int = MISSING  # units of the layer between them and the classes


@dataclass
class MiniAlbertConfig(TableConfig):
    """method=minialbert."""

    applications: int | None = MISSING  # of the one layer; null: as many as the teacher has layers
    adapter: int = MISSING  # units of an adapter
    tune: str = MISSING  # all; adapters: they and the classifier alone


@dataclass
class OwnSizeConfig(MethodConfig):
    """method=quantization: a student whose size no target changes."""


@dataclass
class EarlyExitConfig(OwnSizeConfig):
    """method=early_exit."""

    threshold: float = MISSING  # a row leaves where its entropy, over ln(classes), is below


METHODS: dict[str, type[MethodConfig]] = {
    "lada": FactorsConfig,
    "hybrid": FactorsConfig,
    "factorization": RankConfig,
    "factorization_kd": RankConfig,
    "pruning": PruningConfig,
    "pruning_kd": PruningConfig,
    "finetune": LayersConfig,
    "kd": KdConfig,
    "pkd": PkdConfig,
    "layerdrop": LayerdropConfig,
    "tinybert": TinyBertConfig,
    "bert_small": ShapeConfig,
    "bilstm": BiLstmConfig,
    "minialbert": MiniAlbertConfig,
    "early_exit": EarlyExitConfig,
    "quantization": OwnSizeConfig,
}
"""The methods, and the keys that each has."""


@dataclass
class TargetConfig:
    """conf/target: how many times smaller."""

    ratio: float | None = MISSING  # null: of a method with a size of its own, that size


@dataclass
class RatiosConfig:
    """conf/ratios: how the target is split. Ratios as in the paper's Table 2: x2.0 keeps half."""

    rule: str = MISSING  # solved, fast, paper, custom
    embedding: float | None = MISSING  # word table
    svd: float | None = MISSING  # encoder matrices, by rank
    pruning: float | None = MISSING  # entries of the factors
    round_to: int = MISSING  # last ranks of encoder matrices: multiples of this, as budget allows


@dataclass
class ScheduleConfig:
    """conf/schedule: when and how fast the ratio goes to the target."""

    shape: str = MISSING  # geometric, linear, cubic
    every: str = MISSING  # "auto": `rounds` evenly; "epoch"; or a number of steps
    rounds: int = MISSING  # with every=auto
    delta: float | None = MISSING  # kept share a round (the paper's Delta); sets the rounds
    recovery: float = MISSING  # share of the training after the last round


@dataclass
class DistillConfig:
    """conf/distill: weight of each term, and how it is taken."""

    embedding: float = MISSING
    attention: float = MISSING
    hidden: float = MISSING
    prediction: float = MISSING
    maps: str = MISSING  # scores (before softmax) or probabilities
    temperature: float = MISSING


@dataclass
class OptimConfig:
    """conf/optim: AdamW for the student."""

    lr: float = MISSING
    epochs: float | None = MISSING
    steps: int | None = MISSING  # instead of epochs; both null: see lada.training.length
    batch_size: int = MISSING  # rows an optimizer step
    warmup: float = MISSING  # share of the steps
    weight_decay: float = MISSING  # not on biases and LayerNorm
    beta1: float = MISSING
    beta2: float = MISSING
    eps: float = MISSING
    clip: float = MISSING  # largest gradient norm


@dataclass
class DataConfig:
    """conf/data."""

    dir: str | None = MISSING  # folder with SST-2/, MNLI/, ... ; null: the hub
    select: int | None = MISSING  # rows cut from train for every choice; null: min(2000, 10 %)
    split_by: str = MISSING  # of that cut: example, sentence (with its phrases), auto: by the task
    workers: int | None = MISSING  # processes that make batches; null: 1 for a GPU, else none


@dataclass
class TeacherCacheConfig:
    """conf/teacher_cache: the teacher's outputs on the train rows, kept in paths.cache."""

    gb: float = MISSING  # they may take so many 10^9 bytes; over it the teacher runs all the time


@dataclass
class TrainerConfig:
    """conf/trainer."""

    accelerator: str = MISSING  # auto, cpu, gpu
    precision: str = MISSING  # auto: bf16 autocast where the machine has it; bf16; fp32
    threads: int | None = MISSING  # of the CPU; null: all
    accumulate: int = MISSING  # parts that a process cuts its share of a batch into
    checks: int = MISSING  # looks at `select` per epoch; without epochs, 20 in all at most
    strategy: str = MISSING  # single; ddp: several processes, each on a share of every batch
    devices: int | None = MISSING  # strategy=ddp: processes on a machine; null: one for each GPU
    num_nodes: int = MISSING  # strategy=ddp: machines; over 1, start by torchrun or srun
    jobs_per_gpu: int = MISSING  # of a sweep, at once on one GPU; the launcher says how many in all
    spikes: int = MISSING  # bf16: steps whose gradient is no number, skipped before it stops


@dataclass
class CallbacksConfig:
    """conf/callbacks."""

    progress: str = MISSING  # auto: a bar on a terminal, lines elsewhere; bar; lines; none
    checkpoint_minutes: float = MISSING  # between two looks at `select`, keep one so often
    keep: int = MISSING  # checkpoints that stay; the best is kept apart


@dataclass
class LoggerConfig:
    """conf/logger."""

    name: str = MISSING  # csv, wandb, tensorboard
    project: str = MISSING  # wandb project


@dataclass
class ArtifactConfig:
    """conf/artifact: the file that comes out."""

    values: str = MISSING  # fp32, fp16 or int8: a scale a rank component, or row of a whole matrix


@dataclass
class PathsConfig:
    """conf/paths."""

    outputs: str = MISSING  # one folder a run
    teachers: str = MISSING  # fine-tuned teachers, by key
    cache: str = MISSING  # tokenized data and teachers' outputs, by content


@dataclass
class Config:
    """conf/train.yaml: everything that one run depends on."""

    task: TaskConfig = MISSING
    model: ModelConfig = MISSING
    teacher: TeacherConfig = MISSING
    method: MethodConfig = MISSING
    target: TargetConfig = MISSING
    ratios: RatiosConfig = MISSING
    schedule: ScheduleConfig = MISSING
    distill: DistillConfig = MISSING
    optim: OptimConfig = MISSING
    data: DataConfig = MISSING
    teacher_cache: TeacherCacheConfig = MISSING
    trainer: TrainerConfig = MISSING
    callbacks: CallbacksConfig = MISSING
    logger: LoggerConfig = MISSING
    artifact: ArtifactConfig = MISSING
    paths: PathsConfig = MISSING
    seed: int = MISSING
    compile: bool = MISSING  # torch.compile the student
    submit: bool = MISSING  # answer the GLUE test files of data.dir, for GLUE's server
    resume: str = MISSING  # auto: go on with this config's unfinished run; never; or a checkpoint


def known_keys(schema: type = Config, prefix: str = "") -> list[str]:
    """Every key that a user may set, dotted."""
    if schema is MethodConfig:
        return sorted({prefix + f.name for kind in METHODS.values() for f in fields(kind)})
    out = []
    hints = get_type_hints(schema)
    for f in fields(schema):
        kind = hints[f.name]
        if isinstance(kind, type) and is_dataclass(kind):
            out += known_keys(kind, f"{prefix}{f.name}.")
        else:
            out.append(prefix + f.name)
    return out


def no_such_key(key: str, names: list[str]) -> str:
    """The line for a key that is not there: the nearest of ``names``, or the methods that have it.

    Args:
        key: dotted.
    """
    owners = [name for name, kind in METHODS.items() if key in known_keys(kind, "method.")]
    if owners:
        return f"{key}: no key of this method; it goes with method={' or '.join(owners)}"
    return f"{key}: no such key{did_you_mean(key, names)}; see them all: {typed()} --cfg job"


def check(cfg: DictConfig) -> Config:
    """A composed config as typed dataclasses.

    Raises:
        LadaError: a key is unknown, missing, of the wrong type or out of range.
    """
    try:
        values: Any = OmegaConf.to_container(cfg, resolve=True)
        schema = OmegaConf.structured(Config)
        kind = _method_kind(values.get("method"))
        if kind is not None:
            schema.method = OmegaConf.structured(kind)
        check_types(Config, values)
        if kind is not None:
            check_types(kind, values["method"], "method.")
        check_limits(values)
        typed = OmegaConf.merge(schema, cfg)
        lacking = sorted(OmegaConf.missing_keys(typed))
        if lacking:
            raise LadaError(no_value(lacking[0]))
        config = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "config"
        if isinstance(error, ConfigKeyError):
            raise LadaError(no_such_key(key, known_keys())) from None
        raise LadaError(f"{key}: {str(error).splitlines()[0]}") from None
    assert isinstance(config, Config)
    _check_values(config)
    return config


def no_value(key: str) -> str:
    """The line for a key, or a whole group, that has no value."""
    if is_dataclass(get_type_hints(Config).get(key)):
        return f"{key}: is a group of keys and has no value. Give one of its choices, {key}=NAME."
    return f"{key} has no value; give it as {key}=..."


def _method_kind(values: Any) -> type[MethodConfig] | None:
    """The keys of the method that is named; None where none is."""
    name = values.get("name") if isinstance(values, dict) else None
    if name is None or name == MISSING:
        return None
    if not isinstance(name, str) or name not in METHODS:
        raise LadaError(f"method.name={shown(name)}: choose one of {', '.join(METHODS)}")
    return METHODS[name]


def _check_values(c: Config) -> None:
    inf = math.inf

    def choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
        if value not in allowed:
            raise LadaError(f"{key}={shown(value)}: choose one of {', '.join(allowed)}")

    def number(key: str, value: float, low: float, high: float, strict: bool = False) -> None:
        inside = low < value <= high if strict else low <= value <= high
        if not (inside and math.isfinite(value)):
            bound = f"over {low:g}" if strict else f"at least {low:g}"
            top = f" and at most {high:g}" if math.isfinite(high) else ""
            top = " and finite" if not top and value in (inf, -inf) else top
            raise LadaError(f"{key}={shown(value)}: must be {bound}{top}")

    if isinstance(c.method, RankConfig):
        choice("method.lower_rank", c.method.lower_rank, LOWERINGS)
    if isinstance(c.method, PruningConfig):
        choice("method.threshold", c.method.threshold, ("factor", "global"))
    choice("ratios.rule", c.ratios.rule, ("solved", "fast", "paper", "custom"))
    choice("schedule.shape", c.schedule.shape, tuple(SHAPES))
    choice("distill.maps", c.distill.maps, ("scores", "probabilities"))
    choice("trainer.accelerator", c.trainer.accelerator, ("auto", "cpu", "gpu"))
    why_not = {
        "fsdp": "it keeps each matrix in pieces, and a round needs whole matrices",
        "deepspeed": "its optimizer keeps copies of the weights that no mask reaches",
    }
    if c.trainer.strategy in why_not:
        raise LadaError(
            f"trainer.strategy={c.trainer.strategy}: {why_not[c.trainer.strategy]}; use ddp"
        )
    choice("trainer.strategy", c.trainer.strategy, ("single", "ddp"))
    choice("trainer.precision", c.trainer.precision, ("auto", "bf16", "fp32"))
    choice("callbacks.progress", c.callbacks.progress, ("auto", "bar", "lines", "none"))
    choice("artifact.values", c.artifact.values, ("int8", "fp16", "fp32"))
    choice("logger.name", c.logger.name, ("csv", "wandb", "tensorboard"))
    if c.target.ratio is not None:
        number("target.ratio", c.target.ratio, 1.0, inf)
        if isinstance(c.method, OwnSizeConfig):
            raise LadaError(
                f"target.ratio={c.target.ratio:g}: method={c.method.name} leaves no parameter out; "
                "give target=none"
            )
    elif not isinstance(c.method, TableConfig | OwnSizeConfig):
        raise LadaError(
            f"target=none: method={c.method.name} has no size of its own; give target=7.5x, ..."
        )
    if isinstance(c.method, TableConfig):
        choice("method.embedding", c.method.embedding, ("keep", "svd", "prune"))
    if isinstance(c.method, TableConfig | OwnSizeConfig) and c.ratios.rule != "solved":
        raise LadaError(
            f"ratios={c.ratios.rule}: method={c.method.name} has no rank and pruning to split "
            "the budget over; leave ratios out"
        )
    if isinstance(c.method, BiLstmConfig) and c.compile:
        raise LadaError(
            "compile=true: torch does not compile the packed rows of method=bilstm; leave it out"
        )
    if isinstance(c.method, EarlyExitConfig):
        number("method.threshold", c.method.threshold, 0.0, 1.0)
    if isinstance(c.method, BiLstmConfig):
        number("method.hidden", c.method.hidden, 1, inf)
        number("method.inner", c.method.inner, 1, inf)
    if isinstance(c.method, MiniAlbertConfig):
        if c.method.applications is not None:
            number("method.applications", c.method.applications, 1, inf)
        number("method.adapter", c.method.adapter, 1, inf)
        choice("method.tune", c.method.tune, ("all", "adapters"))
    if isinstance(c.method, LayersConfig) and c.method.layers is not None:
        number("method.layers", c.method.layers, 1, inf)
    if isinstance(c.method, ShapeConfig):
        _check_shape(c.method, c.target.ratio)
    if isinstance(c.method, TinyBertConfig):
        number("method.intermediate", c.method.intermediate, 0.0, 1.0)
        if c.method.intermediate == 1.0:
            raise LadaError(
                "method.intermediate=1: the classifier would learn nothing; leave it a share"
            )
    if isinstance(c.method, LayerdropConfig):
        choice("method.which", c.method.which, ("first", "alternate", "top"))
    if isinstance(c.method, KdConfig):
        number("method.alpha", c.method.alpha, 0.0, 1.0)
        number("method.temperature", c.method.temperature, 0.0, inf, strict=True)
    if isinstance(c.method, PkdConfig):
        choice("method.states", c.method.states, ("skip", "last"))
        number("method.beta", c.method.beta, 0.0, inf, strict=True)
    for name in ("embedding", "svd", "pruning"):
        value = getattr(c.ratios, name)
        if value is not None:
            number(f"ratios.{name}", value, 1.0, inf)
    number("ratios.round_to", c.ratios.round_to, 1, 256)
    number("task.max_length", c.task.max_length, 4, 512)
    number("schedule.rounds", c.schedule.rounds, 1, inf)
    number("schedule.recovery", c.schedule.recovery, 0.0, 0.95)
    if c.schedule.delta is not None:
        number("schedule.delta", c.schedule.delta, 0.0, 0.999, strict=True)
        if c.schedule.shape != "geometric" or c.schedule.every != "auto":
            raise LadaError(
                f"schedule.delta={c.schedule.delta:g}: goes with schedule.shape=geometric and "
                "schedule.every=auto only"
            )
    every = c.schedule.every
    if every not in ("auto", "epoch") and not re.fullmatch("0*[1-9][0-9]{0,8}", every):
        raise LadaError(f"schedule.every={shown(every)}: choose auto, epoch or a number of steps")
    weights = (c.distill.embedding, c.distill.attention, c.distill.hidden, c.distill.prediction)
    for name, weight in zip(
        ("embedding", "attention", "hidden", "prediction"), weights, strict=True
    ):
        number(f"distill.{name}", weight, 0.0, inf)
    if c.distill.prediction == 0.0:
        raise LadaError(
            "distill.prediction=0: the classifier would learn nothing; give it a weight"
        )
    number("distill.temperature", c.distill.temperature, 0.0, inf, strict=True)
    number("model.lr", c.model.lr, 0.0, 1.0, strict=True)
    number("model.teacher_lr", c.model.teacher_lr, 0.0, 1.0, strict=True)
    for group, o in (("optim", c.optim), ("teacher", c.teacher)):
        number(f"{group}.lr", o.lr, 0.0, 1.0, strict=True)
        if o.epochs is not None:
            number(f"{group}.epochs", o.epochs, 0.0, inf, strict=True)
        if o.steps is not None:
            number(f"{group}.steps", o.steps, 1, inf)
        if o.epochs is not None and o.steps is not None:
            raise LadaError(
                f"{group}.steps={o.steps}: {group}.epochs={o.epochs:g} is given too. Give one of "
                f"them ({group}.epochs=null takes it back)."
            )
        number(f"{group}.batch_size", o.batch_size, 1, inf)
        number(f"{group}.warmup", o.warmup, 0.0, 1.0)
        number(f"{group}.weight_decay", o.weight_decay, 0.0, inf)
    number("optim.beta1", c.optim.beta1, 0.0, 0.9999)
    number("optim.beta2", c.optim.beta2, 0.0, 0.999999)
    number("optim.eps", c.optim.eps, 0.0, 1.0, strict=True)
    number("optim.clip", c.optim.clip, 0.0, inf, strict=True)
    number("teacher.margin", c.teacher.margin, 0.0, 100.0)
    if c.data.select is not None:
        number("data.select", c.data.select, 1, inf)
    choice("data.split_by", c.data.split_by, ("auto", *SPLIT_BY))
    if c.data.workers is not None:
        number("data.workers", c.data.workers, 0, inf)
    number("teacher_cache.gb", c.teacher_cache.gb, 0.0, inf)
    if c.trainer.threads is not None:
        number("trainer.threads", c.trainer.threads, 1, inf)
    number("trainer.accumulate", c.trainer.accumulate, 1, inf)
    if c.trainer.devices is not None:
        number("trainer.devices", c.trainer.devices, 1, inf)
    number("trainer.num_nodes", c.trainer.num_nodes, 1, inf)
    number("trainer.jobs_per_gpu", c.trainer.jobs_per_gpu, 1, inf)
    number("trainer.spikes", c.trainer.spikes, 0, inf)
    if c.trainer.strategy != "ddp" and (c.trainer.devices or 1) * c.trainer.num_nodes > 1:
        raise LadaError(
            f"trainer.devices={shown(c.trainer.devices)}, trainer.num_nodes={c.trainer.num_nodes}: "
            "several processes need trainer=ddp"
        )
    parts = c.trainer.accumulate * (c.trainer.devices or 1) * c.trainer.num_nodes
    for group, size in (("optim", c.optim.batch_size), ("teacher", c.teacher.batch_size)):
        if size < parts:
            raise LadaError(
                f"{group}.batch_size={size}: trainer.accumulate, devices and num_nodes cut it into "
                f"{parts} parts; give {parts} or more"
            )
    number("callbacks.checkpoint_minutes", c.callbacks.checkpoint_minutes, 0.0, inf)
    number("callbacks.keep", c.callbacks.keep, 1, inf)
    number("trainer.checks", c.trainer.checks, 1, inf)
    number("seed", c.seed, 0, 2**32 - 1)


def _check_shape(m: ShapeConfig, target: float | None) -> None:
    for name in ("layers", "width", "inner", "heads"):
        value = getattr(m, name)
        if value is not None and value < 1:
            raise LadaError(f"method.{name}={shown(value)}: must be at least 1")
    width, heads = m.width, m.heads
    if (width is None) != (m.inner is None):
        one, other = ("width", "inner") if width is None else ("inner", "width")
        raise LadaError(f"method.{one}=null: goes with method.{other}=null; give both, or a number")
    if width is None and target is None:
        raise LadaError(
            "method.width=null: is solved from the target, and there is none; give target=7.5x, "
            "... or method.width=312 method.inner=1200"
        )
    if width is None and m.path is not None:
        raise LadaError(
            f"method.width=null: method.path={m.path} has a width of its own; give it, and "
            "method.inner"
        )
    if width is not None and heads is not None and width % heads:
        fits = ", ".join(str(n) for n in range(1, min(width, 64) + 1) if width % n == 0)
        raise LadaError(f"method.heads={heads}: does not divide method.width={width}; {fits} do")


def plain(config: Any) -> dict[str, Any]:
    """A config as plain dicts, for records and checkpoints."""
    # Not by OmegaConf, which takes "${" in a path for an interpolation.
    return asdict(config)
