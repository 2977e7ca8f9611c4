"""The training that compresses a student: callbacks, checkpoints, the fit, the best weights."""

from pathlib import Path
from typing import Any

from lada.compression import Compression
from lada.errors import LadaError
from lada.training.callbacks import HybridCompressionCallback
from lada.training.checkpoints import Checkpoints, find_last, load_weights
from lada.training.clock import Clock
from lada.training.dashboards import Dashboard
from lada.training.datamodule import ExamplesModule
from lada.training.fit import fit, make_trainer
from lada.training.loop import Loop
from lada.training.modules import Diverged, StudentModule
from lada.training.pace import Paced
from lada.training.watch import Watch

TIMES = "times.csv"
"""In the folder of ``metrics.csv``; see `lada.training.clock.Clock`."""


def fit_student(
    loop: Loop,
    checkpoints: Path,
    module: StudentModule,
    examples: ExamplesModule,
    *,
    compression: Compression,
    logger: Any,
    about: dict[str, Any],
    resume: Path | None,
    paced: Paced | None = None,
) -> float:
    """Compress and distil; ``module`` ends with the best weights of the final round.

    Args:
        checkpoints: their folder.
        compression: of the student.
        about: the description of this run that checkpoints hold.
        resume: the checkpoint to resume from.
        paced: measures how fast it is.

    Returns:
        The deciding score of those weights on the validation split.

    Raises:
        Stopped: by Ctrl-C or SIGTERM, with a checkpoint saved.
        LadaError: too many steps had a gradient that is NaN or infinite, or a checkpoint cannot be
            written.
    """
    kept = Checkpoints(checkpoints, about, minutes=loop.minutes, keep=loop.keep)
    clock = Clock(checkpoints.parent / TIMES)
    watch = [Watch(compression, logger)] if isinstance(logger, Dashboard) else []
    trainer = make_trainer(
        loop,
        phase="compression",
        folder=checkpoints.parent,
        callbacks=[HybridCompressionCallback(compression), *watch, clock, kept],
        logger=logger,
        partial=module.method.partial,
        paced=paced,
    )
    try:
        fit(trainer, module, examples, resume=resume)
    except Diverged as error:
        last = find_last(checkpoints)
        line = f"The last good checkpoint is {last}." if last else "No checkpoint was saved."
        raise LadaError(f"{error} {line}") from None
    kept.obey(trainer)
    assert kept.best_score is not None
    assert kept.best_name is not None
    load_weights(checkpoints / kept.best_name, module)
    return kept.best_score
