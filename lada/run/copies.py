"""The changed copies of training examples: from the cache, or made once."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from lada.data.augment import Word, changed_copies, count_changed, whole_words, words_of
from lada.data.split import Split, TaskData
from lada.data.unlabeled import no_labels
from lada.files import write_text
from lada.nn.device import move_
from lada.run.identity import copies_key
from lada.run.job import Job
from lada.run.teacher import Teacher
from lada.run.words import MaskedWords, Neighbours, load_masked
from lada.training.processes import World

log = logging.getLogger("lada")


def get_copies(job: Job, teacher: Teacher, world: World) -> Split:
    """``data.augment`` changed copies of every training example.

    The first process makes them, if the cache has none; all read the same file.
    """
    mlm = job.config.data.mlm
    key = copies_key(teacher.folder, job.config, job.data, job.machine)
    file = Path(job.config.paths.cache) / "copies" / f"{key}.json"
    with world.first_first():
        if (found := _read(file, job.data, job.config.data.augment)) is None:
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_suffix(".lock")):
                found = _read(file, job.data, job.config.data.augment)
                if found is None:
                    by = "the teacher's word embeddings" if mlm is None else mlm
                    log.info("augmentation: changing words of training examples by %s, once", by)
                    found = _made(job, teacher)
                    write_text(file, json.dumps([found.texts, found.pairs]))
    log.info(
        "augmentation: %d changed copies join the training examples",
        count_changed(found, job.data.train),
    )
    return found


def _read(file: Path, data: TaskData, copies: int) -> Split | None:
    """Stored copies; None where there are none that are intact."""
    if not file.exists():
        return None
    try:
        texts, pairs = json.loads(file.read_text(encoding="utf-8"))
        found = Split("augmented", texts, pairs, no_labels(texts, data))
        columns = [texts] if pairs is None else [texts, pairs]
        fits = len(found) == copies * len(data.train)
        fits &= (pairs is None) == (data.train.pairs is None)
        if fits and all(isinstance(text, str) for column in columns for text in column):
            return found
    except (OSError, ValueError, TypeError):
        pass
    log.warning("augmentation: %s is corrupt and is made again", file)
    return None


def _made(job: Job, teacher: Teacher) -> Split:
    choose: Neighbours | MaskedWords
    if job.config.data.mlm is None:
        tokenizer, whole = job.tokenizer, whole_words(job.tokenizer)
        choose = Neighbours(teacher.model, whole)
    else:
        model, tokenizer = load_masked(Path(job.config.data.mlm))
        whole = whole_words(tokenizer)
        choose = MaskedWords(move_(model, job.device), tokenizer, whole)

    def words(texts: Sequence[str]) -> list[list[Word]]:
        return words_of(texts, tokenizer, whole)

    return changed_copies(job.data, job.config.data.augment, job.config.seed, choose, words)
