"""The groups of the config, one class each: every key has its default, range and meaning here."""

from lada.config.groups.data import DataConfig, TeacherCacheConfig
from lada.config.groups.output import ArtifactConfig, PathsConfig, TargetConfig
from lada.config.groups.task import TaskConfig
from lada.config.groups.trainer import TrainerConfig
from lada.config.groups.training import ModelConfig, OptimConfig, TeacherConfig
from lada.config.groups.watching import CallbacksConfig, LoggerConfig, ReportConfig

__all__ = [
    "ArtifactConfig",
    "CallbacksConfig",
    "DataConfig",
    "LoggerConfig",
    "ModelConfig",
    "OptimConfig",
    "PathsConfig",
    "ReportConfig",
    "TargetConfig",
    "TaskConfig",
    "TeacherCacheConfig",
    "TeacherConfig",
    "TrainerConfig",
]
