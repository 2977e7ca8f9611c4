"""What a run may be asked for: typed settings, checked before anything is loaded or trained.

The groups are in `lada.config.groups` and, those that methods read, in `lada.methods.groups`;
docs/config.md lists all keys. conf/ holds named choices that differ from the defaults.
"""

from lada.config.check import check
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
from lada.config.whole import Config, from_values, known_keys, no_such_key, plain
from lada.methods.groups import DistillConfig, RatiosConfig, ScheduleConfig

__all__ = [
    "ArtifactConfig",
    "CallbacksConfig",
    "Config",
    "DataConfig",
    "DistillConfig",
    "LoggerConfig",
    "ModelConfig",
    "OptimConfig",
    "PathsConfig",
    "RatiosConfig",
    "ReportConfig",
    "ScheduleConfig",
    "TargetConfig",
    "TaskConfig",
    "TeacherCacheConfig",
    "TeacherConfig",
    "TrainerConfig",
    "check",
    "from_values",
    "known_keys",
    "no_such_key",
    "plain",
]
