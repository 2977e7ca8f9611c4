"""Where examples come from, and what is stored of them."""

from typing import Literal

from lada.limits import threads, why_threads
from lada.schema import Text, setting, settings


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
    augment: int = setting(
        0,
        "changed copies of every training example, which the student learns from its teacher: "
        "words become others that are like them",
        least=0,
        most=100,
        why="more copies of a text hardly differ",
        later=True,
    )
    mlm: Text | None = setting(
        None,
        "folder of a masked language model that chooses these words; null: the nearest in the "
        "teacher's word embeddings",
        reads=True,
        free=True,
        later=True,
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
