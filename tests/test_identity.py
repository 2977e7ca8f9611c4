"""Keys of runs and teachers: those that existing folders have."""

import pytest
from helpers import ROOT
from hydra import compose, initialize_config_dir

from lada.config import Config, check
from lada.data.source import load_task
from lada.run.identity import determining, first_difference, flat, run_key, teacher_key
from lada.run.machine import Machine


def config_of(*overrides: str) -> Config:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return check(compose("train", overrides=list(overrides)))


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (("task=demo", "model=tiny", "method=lada", "target=7.5x"), "ea865f1285cc560a"),
        (
            ("task=sst2", "model=bert-base", "method=kd", "target=5x", "optim.steps=500", "seed=3",
             "trainer.precision=fp32"),
            "3765f77434467e77",
        ),
    ],
)  # fmt: skip
def test_runs_keep_the_keys_that_their_folders_have(overrides: tuple[str, ...], key: str) -> None:
    """Literal keys: those of version 0.2."""
    assert run_key(config_of(*overrides)) == key
    # Where it runs and what it shows changes nothing.
    free = ("trainer.threads=1", "data.workers=2", "callbacks.keep=1", "resume=never")
    assert run_key(config_of(*overrides, *free)) == key
    assert run_key(config_of(*overrides, "optim.lr=0.9")) != key


def test_a_teacher_keeps_the_key_that_its_folder_has() -> None:
    config = config_of("task=demo", "model=tiny")
    data = load_task("demo", data_dir=None, validation_examples=None)
    machine = Machine("cpu", "fp32", 1, 0, 0, "cpu")
    assert teacher_key(config, machine, data, None)[0] == "demo-95d0738e333801aa"
    assert teacher_key(config, machine, data, None, 2)[0] != "demo-95d0738e333801aa"


def test_the_first_difference_names_the_key() -> None:
    ours = {"optim": {"lr": 1, "steps": None}, "paths": {"cache": "a"}, "seed": 1}
    assert flat(ours) == {"optim.lr": 1, "optim.steps": None, "paths.cache": "a", "seed": 1}
    assert determining(ours) == {"optim.lr": 1, "seed": 1}
    theirs = determining(ours | {"seed": 2, "paths": {"cache": "b"}})
    assert first_difference(theirs, determining(ours)) == "seed=2, this run has 1"
    assert first_difference(determining(ours), determining(ours)) is None
