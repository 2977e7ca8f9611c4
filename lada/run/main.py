"""What ``python train.py``, ``lada compress`` and ``lada proxy`` do."""

import os
import sys
from collections.abc import Callable

import hydra
from omegaconf import DictConfig

from lada.config.check import by_present_names
from lada.config.store import register
from lada.program import PROGRAM, conf_folder, typed
from lada.run.entry import guarded, run


def main(task: Callable[[DictConfig], None] = run) -> None:
    """Compress a model as conf/ and the words of ``sys.argv`` say.

    Args:
        task: what is done with the config, in the place of that.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # so that `guarded` can say Hydra's errors
    os.environ[PROGRAM] = typed()  # for the processes that this one starts
    guarded(register)
    sys.argv[1:], warnings = by_present_names(sys.argv[1:])
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    composed = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
    guarded(composed(task))
