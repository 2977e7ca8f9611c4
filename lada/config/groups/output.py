"""How small the model is that comes out, how it is stored, and where."""

from typing import Literal

from lada.errors import LadaError
from lada.schema import Text, consistent, setting, settings


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
    mb: float | None = setting(
        None,
        "most megabytes (10^6 bytes) of `model.safetensors`; the ratio is solved, from sizes that "
        "are expected",
        over=0.0,
        most=10**6,
        why="no model of this kind has so many",
        later=True,
    )

    @consistent("ratio", "mb")
    def _one_size(self) -> None:
        if self.mb is not None and self.ratio is not None:
            raise LadaError(
                f"target.mb={self.mb:g}: target.ratio={self.ratio:g} is given, too. Give "
                "target=bytes with target.mb, or a ratio alone."
            )


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
