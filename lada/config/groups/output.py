"""How small the model is that comes out, how it is stored, and where."""

from typing import Literal

from lada.schema import Text, setting, settings


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
