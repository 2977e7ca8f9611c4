"""What a person sees of a run, and how often its state is written."""

from typing import Literal

from lada.schema import Text, setting, settings


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


@settings("report")
class ReportConfig:
    """What report.html shows."""

    examples: bool = setting(
        False,
        "show examples whose answer changed, and store them in details.json: they are your data",
        free=True,
    )


@settings("logger")
class LoggerConfig:
    """Where curves go."""

    name: Literal["csv", "wandb", "trackio", "mlflow", "tensorboard"] = setting(
        "csv", "`csv`: metrics.csv in the folder of the run", free=True
    )
    project: Text = setting("lada", "project of a dashboard: wandb, trackio, mlflow", free=True)
