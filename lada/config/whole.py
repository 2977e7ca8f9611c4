"""The whole config: its groups, and what spans them."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from pydantic import InstanceOf

from lada.config.groups import (
    ArtifactConfig,
    CallbacksConfig,
    DataConfig,
    LoggerConfig,
    ModelConfig,
    OptimConfig,
    PathsConfig,
    ReportConfig,
    TargetConfig,
    TaskConfig,
    TeacherCacheConfig,
    TeacherConfig,
    TrainerConfig,
)
from lada.data.tasks import task_spec
from lada.errors import LadaError, did_you_mean
from lada.methods import Context, MethodSettings, find_method, methods
from lada.methods.groups import DistillConfig, RatiosConfig, ScheduleConfig
from lada.methods.lada import LadaSettings
from lada.methods.settings import ANY
from lada.program import typed
from lada.schema import Key, Text, build, consistent, keys_of, renamed, setting, settings
from lada.values import MISSING, shown

log = logging.getLogger("lada")

T = TypeVar("T")


@settings("")
class Config:
    """Everything that one run depends on."""

    task: TaskConfig = TaskConfig()
    model: ModelConfig = ModelConfig()
    teacher: TeacherConfig = TeacherConfig(lr=ModelConfig().teacher_lr)
    method: InstanceOf[MethodSettings] = LadaSettings()
    target: TargetConfig = TargetConfig()
    ratios: RatiosConfig = RatiosConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    distill: DistillConfig = DistillConfig()
    optim: OptimConfig = OptimConfig(lr=ModelConfig().lr)
    data: DataConfig = DataConfig()
    teacher_cache: TeacherCacheConfig = TeacherCacheConfig()
    trainer: TrainerConfig = TrainerConfig()
    callbacks: CallbacksConfig = CallbacksConfig()
    report: ReportConfig = ReportConfig()
    logger: LoggerConfig = LoggerConfig()
    artifact: ArtifactConfig = ArtifactConfig()
    paths: PathsConfig = PathsConfig()
    seed: int = setting(1, "of all that is random", least=0, most=2**32 - 1)
    compile: bool = setting(False, "compile the student by torch.compile")
    submit: bool = setting(
        False, "answer the GLUE test files of `data.dir`, for GLUE's server", free=True
    )
    resume: Text = setting(
        "auto",
        "`auto`: resume this config's unfinished run; `never`; or a checkpoint",
        path=True,
        free=True,
    )

    @property
    def context(self) -> Context:
        """What its method is made for."""
        return Context(
            target=self.target.ratio if self.target.mb is None else ANY,
            mb=self.target.mb,
            ratios=self.ratios,
            schedule=self.schedule,
            distill=self.distill,
            seed=self.seed,
            pairs=self.task.pairs,
            values=self.artifact.values,
            compile=self.compile,
            kind=self.task.kind or task_spec(self.task.name).kind,
            length=self.task.max_length,
        )

    @consistent("task.name", "task.kind", "task.text_pair", "task.max_length", "method", "target",
                "ratios", "schedule", "distill", "seed", "artifact", "compile")  # fmt: skip
    def _method_fits(self) -> None:
        self.method.check(self.context)

    @consistent("optim.batch_size", "teacher.batch_size", "trainer")
    def _batches_have_an_example_for_each_part(self) -> None:
        parts = self.trainer.parts
        for group, size in (("optim", self.optim.batch_size), ("teacher", self.teacher.batch_size)):
            if size < parts:
                raise LadaError(
                    f"{group}.batch_size={size}: trainer.accumulate, devices and num_nodes cut it "
                    f"into {parts} parts. Give {parts} or more."
                )


GROUPS: dict[str, type] = {
    f.name: f.type if isinstance(f.type, type) else MethodSettings
    for f in fields(Config)
    if f.name not in keys_of(Config)
}
"""The classes of the groups, by name; of ``method`` the one that all methods inherit from."""


def from_values(values: Mapping[str, Any]) -> Config:
    """A config of plain values; what is not there has its default.

    Args:
        values: by group and key, or by key where there is no group.

    Raises:
        LadaError: with a line for every mistake.
    """
    leaves = keys_of(Config)
    made: dict[str, Any] = {}
    found = _Mistakes()
    for name in GROUPS:
        cls, given = _class_and_values(name, values.get(name, {}), found)
        if cls is not None:
            made[name] = found.built(f"{name}.", cls, given)
    for group, key in (("optim", "lr"), ("teacher", "teacher_lr")):
        if group in made and "model" in made and made[group].lr is None:
            made[group] = replace(made[group], lr=getattr(made["model"], key))
    top = {name: value for name, value in values.items() if name in leaves}
    found.unknown += [name for name in values if name not in GROUPS and name not in leaves]
    # Unknown keys first: a rule over several groups may fail for the want of what was meant.
    names = known_keys() if found.unknown else []
    found.lines += [no_such_key(key, names) for key in found.unknown]
    config = found.built("", Config, {**made, **top})
    if found.lines:
        raise LadaError(*found.lines)
    return config


class _Mistakes:
    """What is wrong with the values of groups.

    Attributes:
        lines: one for each mistake, but for unknown keys.
        wrong: dotted keys, and groups, whose values are wrong.
        unknown: dotted keys that there are not.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.wrong: set[str] = set()
        self.unknown: list[str] = []

    def built(self, prefix: str, cls: type[T], values: Mapping[str, Any]) -> T:
        """An instance of a settings class, with defaults where values are wrong."""
        missing = [key for key, value in values.items() if value == MISSING]
        given = {key: value for key, value in values.items() if key not in missing}
        # Rules over a group that lacks a value would see its default.
        lacking = [f"{prefix}{key}" for key in missing]
        made = build(cls, given, [*self.wrong, *lacking])
        self.lines += [*map(no_value, lacking), *made.lines]
        self.wrong |= {f"{prefix}{key}" for key in made.wrong} | set(lacking)
        self.unknown += [f"{prefix}{key}" for key in made.unknown]
        return made.value


def _class_and_values(
    name: str, given: Any, found: _Mistakes
) -> tuple[type | None, Mapping[str, Any]]:
    """The class of a group and its values by their present names; None: they make no group."""
    if not isinstance(given, Mapping):
        found.lines.append(
            f"{name}={shown(given)}: is a group of keys. Give one of its choices, {name}=NAME, "
            f"or one of its keys, {name}.KEY=VALUE."
        )
        found.wrong.add(name)
        return None, {}
    cls = GROUPS[name]
    if name == "method":
        try:
            cls = find_method(given.get("name", "lada"))
        except LadaError as error:
            found.lines += error.args
            found.wrong.add(name)
            return None, {}
        given = {key: value for key, value in given.items() if key != "name"}
    present, warnings = renamed(cls, given)
    for line in warnings:
        log.warning(line)
    return cls, present


def plain(config: Config) -> dict[str, Any]:
    """A config as plain dicts, for records and checkpoints."""
    # Not by OmegaConf, which takes "${" in a path for an interpolation.
    found = asdict(config)
    found["method"] = {"name": config.method.name} | found["method"]
    return dict(found)


def keys(method: type[MethodSettings] | None = None) -> dict[str, Key]:
    """Every key, by its dotted name.

    Args:
        method: whose keys are among them; None: those of all methods.
    """
    schemas = [c for name, c in GROUPS.items() if name != "method"]
    schemas += [method] if method is not None else list(methods().values())
    found = [key for cls in schemas for key in keys_of(cls).values()]
    return {key.name: key for key in [*found, *keys_of(Config).values()]}


def known_keys() -> list[str]:
    """Every key that a user may set, dotted."""
    return sorted([*keys(), "method.name"])


def no_such_key(key: str, names: list[str]) -> str:
    """The line for a key that is not there: the nearest of ``names``, or the methods that have it.

    Args:
        key: dotted.
    """
    group, _, name = key.partition(".")
    owners = [m for m, cls in methods().items() if group == "method" and name in keys_of(cls)]
    if owners:
        return (
            f"{key}: is not a key of this method. It goes with method={' or '.join(owners)}. "
            "Leave it out."
        )
    near = did_you_mean(key, names) or "."
    return f"{key}: no such key{near} See all keys by: {typed()} --cfg job"


def no_value(key: str) -> str:
    """The line for a key, or a whole group, that has no value."""
    if key in GROUPS:
        return f"{key}: is a group of keys and has no value. Give one of its choices, {key}=NAME."
    return f"{key}: has no value. Give it as {key}=..."
