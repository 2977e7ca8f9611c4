"""docs/methods.md: a card for every method, with its keys, commands and limits."""

import re

import pytest
import torch
from helpers import ROOT
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from transformers import BertConfig, BertForSequenceClassification

from lada.config import Config, check
from lada.errors import LadaError
from lada.methods import methods
from lada.methods.base import Method
from lada.schema import keys_of

METHODS = methods()

TEXT = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
CARDS = {
    card.partition("\n")[0]: re.split(r"^## ", card, flags=re.MULTILINE)[0]
    for card in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]
}
LIMITS = dict(re.findall(r"^\| `(\w+)` \| (\S.*?\d.*?) \|$", TEXT.partition("## Targets")[2], re.M))


def _checked(*overrides: str) -> Config:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return check(compose("train", overrides=list(overrides)))


def make_method(config: Config) -> Method:
    return config.method.make(config.context)


@pytest.fixture(scope="module")
def teachers() -> list[BertForSequenceClassification]:
    shapes: tuple[dict[str, int], ...] = (
        {},
        {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
    )
    with torch.device("meta"):
        return [BertForSequenceClassification(BertConfig(**shape)) for shape in shapes]


def test_every_method_has_a_card() -> None:
    assert list(CARDS) == list(METHODS)
    assert list(LIMITS) == list(METHODS)
    for name in METHODS:
        assert f"[`{name}`](#{name})" in TEXT
        for part in ("Student", "Loss", "Source", "Keys", "Run"):
            assert f"- {part}:" in CARDS[name], name


def test_which_methods_look_at_a_group() -> None:
    for group in ("distill", "ratios"):
        readers = tuple(name for name, method in METHODS.items() if group in method.reads)
        (line,) = re.findall(rf"^\| `{group}` \| (.*) \|$", TEXT, re.MULTILINE)
        assert sorted(re.findall(r"`(\w+)`", line.partition("(")[0])) == sorted(readers)


@pytest.mark.parametrize("name", list(METHODS))
def test_its_keys(name: str) -> None:
    (line,) = re.findall(r"^- Keys: ?(.*)$", CARDS[name], re.MULTILINE)
    defaults = {key: value.default for key, value in keys_of(METHODS[name]).items()}
    values = {key: "null" if value is None else str(value) for key, value in defaults.items()}
    assert line == " ".join(f"`{key}={value}`" for key, value in values.items())


@pytest.mark.parametrize("name", list(METHODS))
def test_its_commands_compose(name: str) -> None:
    run = CARDS[name].partition("- Run: ")[2]
    commands = re.findall(r"`python train\.py ([^`]+)`", run)
    assert commands
    for command in commands:
        config = _checked(*command.split())
        assert config.method.name == name or "method=" not in command


@pytest.mark.slow
@pytest.mark.parametrize("name", list(METHODS))
def test_its_limits(name: str, teachers: list[BertForSequenceClassification]) -> None:
    for teacher, limits in zip(teachers, LIMITS[name].split(" | "), strict=True):
        if limits.startswith("none: "):
            with pytest.raises(LadaError, match="would do: 1, 2, 3, 6"):
                make_method(_checked(f"method={name}", "target=none")).plan(teacher, 1)
            continue
        if limits.endswith(" alone"):
            own = make_method(_checked(f"method={name}", "target=none")).plan(teacher, 1)
            assert f"{own.rounds[-1].ratio:.2f} alone" == limits
            with pytest.raises(LadaError, match="Give target=none"):
                _checked(f"method={name}", "target=2.5x")
            continue
        low, high = limits.split(" - ")

        def plan(target: float, teacher: BertForSequenceClassification = teacher) -> float:
            at = ["target=custom", f"target.ratio={target}"]
            return make_method(_checked(f"method={name}", *at)).plan(teacher, 1).rounds[-1].ratio

        assert plan(float(high)) == pytest.approx(float(high), rel=0.02)
        with pytest.raises(LadaError, match=rf"the largest is x{high}"):
            plan(float(high) + 0.01)
        if low != "1":
            own = make_method(_checked(f"method={name}", "target=none")).plan(teacher, 1)
            assert f"{own.rounds[-1].ratio:.2f}" == low
            with pytest.raises(LadaError, match=rf"the student is x{low} by itself"):
                plan(float(low) - 0.01)
