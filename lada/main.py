"""What ``python train.py`` and ``lada compress`` do."""

import os

import hydra

from lada.entry import guarded, run
from lada.program import PROGRAM, conf_folder, typed


def main() -> None:
    """Compress a model as conf/ and the words of ``sys.argv`` say."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # so that `guarded` can say Hydra's errors
    os.environ[PROGRAM] = typed()  # for the processes that this one starts
    composed = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
    guarded(composed(run))
