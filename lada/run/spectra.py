"""The spectra of a teacher's matrices: of the run's folder, or computed once."""

import json
import logging
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from lada.files import temporary_file
from lada.methods.settings import RankSettings
from lada.nn.spectra import read_spectra, write_spectra
from lada.nn.surgery import inventory
from lada.ops.allocate import Spectra
from lada.run.job import Job
from lada.run.teacher import Teacher
from lada.training.processes import World

log = logging.getLogger("lada")

FILE = "spectra.safetensors"


def get_spectra(
    job: Job, teacher: Teacher, folder: Path, content: dict[str, Any], world: World
) -> Spectra:
    """The spectra by which the run plans its ranks.

    They are kept with the checkpoints: on another machine they would differ in their last digits,
    and a resumed run needs the plan that it began with. The first process computes them, if there
    are none; all read the same file.

    Args:
        folder: of the checkpoints.
        content: the digests of what the run is made of. Spectra of something else are replaced.
    """
    settings = job.config.method
    assert isinstance(settings, RankSettings)
    file, about = folder / FILE, {"content": json.dumps(content, sort_keys=True)}
    with world.first_first():
        found = _read(file, about)
        if found is None:
            computed = settings.parts(job.context).spectra_of(job.compressed(teacher.model))
            temporary = temporary_file(file)
            try:
                write_spectra(computed, about, temporary)
                temporary.replace(file)
            finally:
                temporary.unlink(missing_ok=True)
            found = read_spectra(about, file)
    assert found is not None
    return found


def _read(file: Path, about: dict[str, str]) -> Spectra | None:
    """Stored spectra; None where there are none that are intact and of this run."""
    if not file.exists():
        return None
    try:
        return read_spectra(about, file)
    except (OSError, SafetensorError):
        log.warning("%s is corrupt and is made again", file)
        return None


def tell_ranks(job: Job, teacher: Teacher) -> None:
    """Log the last ranks of the plan: of the word embeddings, and the range of the others."""
    words = inventory(teacher.model).word_embeddings.name
    last = {name: ranks[-1] for name, ranks in job.plan.ranks.items()}
    others = [rank for name, rank in last.items() if name != words]
    log.info(
        "ranks: %d of the word embeddings, %d to %d in the encoder",
        last[words],
        min(others),
        max(others),
    )
