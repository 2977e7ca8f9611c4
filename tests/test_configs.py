"""Every file of conf/ composes, and passes the check."""

from copy import deepcopy
from pathlib import Path

import pytest
from helpers import ROOT
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from lada.config import Config, check, known_keys, plain
from lada.data.tasks import TASKS
from lada.methods import methods

CONF = ROOT / "conf"
FILES = sorted(
    p for p in CONF.rglob("*.yaml") if p.parent != CONF and p.parent.name not in ("hydra",)
)
NEEDED = {
    ("target", "custom"): ["target.ratio=6"],
    ("target", "bytes"): ["target.mb=3"],
    ("model", "local"): ["model.path=somewhere"],
    ("teacher", "folder"): ["teacher.path=somewhere"],
    ("ratios", "custom"): ["ratios.embedding=5", "ratios.svd=2"],
    ("target", "none"): ["method=finetune"],
}


def composed(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.mark.parametrize("file", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_file_composes(file: Path) -> None:
    group, name = file.parent.name, file.stem
    config = check(composed(f"{group}={name}", *NEEDED.get((group, name), [])))
    assert config.target.ratio is None or config.target.ratio > 1


def test_defaults_are_the_papers() -> None:
    config = check(composed("model=bert-base"))
    assert (config.optim.lr, config.optim.batch_size) == (2e-5, 32)
    assert (config.optim.beta1, config.optim.beta2, config.optim.eps) == (0.9, 0.999, 1e-6)
    assert (config.optim.weight_decay, config.optim.warmup, config.optim.clip) == (0.01, 0.1, 1.0)
    assert config.target.ratio == 7.5


def test_a_given_teacher_has_no_other_models_name_and_rates() -> None:
    given = ["teacher=folder", "teacher.path=somewhere"]
    config = check(composed(*given))
    assert (config.model.name, config.optim.lr) == ("local", 2e-5)
    config = check(composed(*given, "model=minilm-l6"))
    assert (config.model.name, config.optim.lr) == ("minilm-l6", 3e-4)


def test_composing_nothing_gives_the_defaults() -> None:
    assert check(composed()) == Config()
    for name, method in methods().items():
        size = [] if method.size != "own" else ["target=none"]
        assert check(composed(f"method={name}", *size)).method == method()


def test_every_key_of_the_schema_is_composed_and_the_other_way_round() -> None:
    def keys(node, prefix=""):
        for key, value in node.items():
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{key}.")
            else:
                yield prefix + key

    found = set()
    for name in methods():
        found |= set(keys(OmegaConf.to_container(composed(f"method={name}"))))
    assert found == set(known_keys())


def test_a_file_of_conf_names_only_what_differs_from_the_defaults() -> None:
    """But for the choices that would be empty without the value that they are named by."""
    named = {"model/tiny", "target/7.5x", "artifact/int8", "logger/csv", "ratios/solved",
             "schedule/geometric", "model/minilm-l6", "task/demo", "teacher/finetune"}  # fmt: skip
    defaults = plain(Config())
    for file in FILES:
        group, name = file.parent.name, file.stem
        values = OmegaConf.to_container(OmegaConf.load(file)) or {}
        assert isinstance(values, dict)
        if group in defaults and f"{group}/{name}" not in named:
            for key, value in values.items():
                assert key == "defaults" or value != defaults[group][key], (file, key)


def test_every_task_has_a_config_and_every_config_a_task() -> None:
    assert {p.stem for p in (CONF / "task").iterdir()} == set(TASKS)


@pytest.mark.parametrize("method", ["lada", "pkd"])
def test_a_composed_config_that_is_changed_leaves_the_next_alone(method: str) -> None:
    """Copies of Hydra's store share the defaults; who composes is given a copy of his own."""
    first = composed(f"method={method}")
    before = OmegaConf.to_container(first)
    for group in first.values():
        if isinstance(group, DictConfig):
            OmegaConf.set_struct(group, False)
            for key in list(group):
                group[key] = "changed"
    assert OmegaConf.to_container(first) != before
    assert OmegaConf.to_container(composed(f"method={method}")) == before
    store = ConfigStore.instance()
    assert deepcopy(store).repo["base.yaml"] is store.repo["base.yaml"]
    for path in ("base.yaml", f"method/{method}.yaml"):
        loaded = store.load(path).node
        next(value for value in (loaded, *loaded.values()) if isinstance(value, DictConfig)).clear()
        assert store.load(path).node != loaded
