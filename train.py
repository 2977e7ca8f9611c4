"""python train.py task=mnli target=7.5x  (python train.py --help)"""

import os

import hydra
from omegaconf import DictConfig

from lada.app import guarded, run

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # so that `guarded` can say Hydra's errors in a line


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> None:
    """Compress a model as conf/ and the command line say."""
    run(cfg)


if __name__ == "__main__":
    guarded(main)
