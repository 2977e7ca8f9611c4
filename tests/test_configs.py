"""Every file of conf/ composes, and passes the check."""

import re
from pathlib import Path

import pytest
from helpers import ROOT
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lada.config import METHODS, check, known_keys
from lada.data.tasks import TASKS

CONF = ROOT / "conf"
FILES = sorted(
    p for p in CONF.rglob("*.yaml") if p.parent != CONF and p.parent.name not in ("hydra",)
)
NEEDED = {
    ("target", "custom"): ["target.ratio=6"],
    ("model", "local"): ["model.path=somewhere"],
    ("teacher", "folder"): ["teacher.path=somewhere"],
    ("target", "none"): ["method=finetune"],
    ("method", "early_exit"): ["target=none"],
    ("method", "quantization"): ["target=none"],
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


def test_every_key_of_the_schema_is_in_conf_and_the_other_way_round() -> None:
    def keys(node, prefix=""):
        for key, value in node.items():
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{key}.")
            else:
                yield prefix + key

    found = set()
    for name in METHODS:
        found |= set(keys(OmegaConf.to_container(composed(f"method={name}"))))
    assert found == set(known_keys())


# Names that say all there is to say.
PLAIN = {"lr", "epochs", "beta1", "beta2", "eps", "seed", "temperature"}
# Explained by the line of their class.
BY_CLASS = {"target.ratio", "method.name", "teacher.batch_size", "teacher.weight_decay",
            "distill.embedding", "distill.attention", "distill.hidden",
            "distill.prediction"}  # fmt: skip


def test_every_key_is_documented() -> None:
    text = (ROOT / "lada/config.py").read_text()
    for key in known_keys():
        group, _, name = key.rpartition(".")
        owner = rf"^class {group.title().replace('_', '')}Config:.*?(?=^@|^def )"
        if group == "method":  # one class for each set of keys
            owner = r"^class MethodConfig:.*?(?=^METHODS)"
        section = re.search(owner, text, re.MULTILINE | re.DOTALL)
        assert section, key
        line = re.search(rf"^    {name}: [^\n]*MISSING(?P<rest>.*)$", section[0], re.MULTILINE)
        assert line, key
        assert "#" in line["rest"] or name in PLAIN or key in BY_CLASS, f"{key} has no comment"


def test_every_task_has_a_config_and_every_config_a_task() -> None:
    assert {p.stem for p in (CONF / "task").iterdir()} == set(TASKS)
