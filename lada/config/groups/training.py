"""The pretrained model, and the trainings of teacher and student."""

from lada.errors import LadaError
from lada.limits import FLOAT32
from lada.schema import Text, consistent, setting, settings

_LONG = "no model of this kind has been trained for longer"
_BATCH = "the largest batch that BERT has been trained with"
_DECAY = "one step at a rate of 1e-3 takes a weight to zero"


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
