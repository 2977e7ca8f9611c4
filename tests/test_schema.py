"""Classes of settings: types, ranges, rules, all mistakes at once."""

from dataclasses import FrozenInstanceError, asdict, replace
from typing import Literal

import pytest
from pydantic.fields import FieldInfo

from lada.config import (
    Config,
    DataConfig,
    DistillConfig,
    OptimConfig,
    RatiosConfig,
    ScheduleConfig,
    TargetConfig,
    TeacherConfig,
    TrainerConfig,
    from_values,
    known_keys,
    plain,
)
from lada.config.check import by_present_names
from lada.config.docs import page
from lada.config.whole import GROUPS, keys
from lada.errors import LadaError
from lada.methods import MethodSettings, methods
from lada.methods.forms import FormSettings
from lada.schema import Column, Text, build, consistent, keys_of, setting, settings

from helpers import ROOT  # isort: skip


@settings("soup", old={"pinches": "salt"})
class Soup:
    """For the tests below."""

    salt: float = setting(0.5, "spoons", least=0.0, most=3.0, why="nobody eats more")
    carrots: int | None = setting(None, "pieces", over=0)
    hot: bool = setting(True, "or cold")
    kind: Literal["clear", "thick"] = setting("clear", "what it looks like")
    name: Text = setting("soup", "of the dish")
    column: Column | None = setting(None, "may be empty")

    @consistent("kind", "carrots")
    def _clear_has_no_carrots(self) -> None:
        if self.kind == "clear" and self.carrots is not None:
            raise LadaError(f"soup.carrots={self.carrots}: makes it thick. Give kind=thick.")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"salt": True}, "soup.salt=true: must be a number."),
        ({"salt": "1"}, "soup.salt=1: must be a number."),
        ({"salt": None}, "soup.salt=null: must have a value. Give one, or leave soup.salt out."),
        ({"salt": 4}, "soup.salt=4: must be at most 3 (nobody eats more)."),
        ({"salt": -1}, "soup.salt=-1: must be at least 0 and at most 3."),
        ({"salt": float("nan")}, "soup.salt=nan: must be at least 0 and at most 3."),
        ({"salt": float("inf")}, "soup.salt=inf: must be at least 0 and at most 3."),
        ({"salt": 10**400}, "soup.salt=1000"),
        ({"carrots": 1.0}, "soup.carrots=1: must be a whole number or null."),
        ({"carrots": False}, "soup.carrots=false: must be a whole number or null."),
        ({"carrots": 0}, "soup.carrots=0: must be over 0."),
        ({"hot": 1}, "soup.hot=1: must be true or false."),
        ({"kind": "cold"}, "soup.kind=cold: choose one of clear, thick."),
        ({"kind": 3}, "soup.kind=3: choose one of clear, thick."),
        ({"name": ""}, "soup.name=: is empty. Give a value, or leave it out."),
        ({"name": 3}, "soup.name=3: must be text. To give it as text, write 'soup.name=\"3\"'."),
        ({"name": "\udce9"}, r"soup.name=\udce9: is not valid UTF-8."),
        ({"carrots": 2}, "soup.carrots=2: makes it thick. Give kind=thick."),
        ({"salty": 1}, "soup.salty: Soup has no such field; did you mean salt?."),
    ],
)
def test_what_is_wrong_is_one_line(values: dict, line: str) -> None:
    with pytest.raises(LadaError) as error:
        Soup(**values)
    assert len(error.value.args) == 1
    assert str(error.value).startswith(line)


def test_what_is_right() -> None:
    """A whole number is a number, and nothing else is converted."""
    soup = Soup(salt=2, carrots=3, kind="thick", column="")
    assert (soup.salt, type(soup.salt), soup.carrots, soup.column) == (2.0, float, 3, "")
    assert replace(soup, hot=False) == Soup(salt=2.0, carrots=3, hot=False, kind="thick", column="")
    with pytest.raises(FrozenInstanceError):
        soup.salt = 1.0  # type: ignore[misc]


def test_all_mistakes_are_told_and_rules_run_on_the_fields_that_are_right() -> None:
    built = build(Soup, {"salt": 9, "carrots": 2, "hot": 0, "spoon": 1})
    assert [line.partition(":")[0] for line in built.lines] == [
        "soup.salt=9", "soup.hot=0", "soup.carrots=2",
    ]  # fmt: skip
    assert (built.wrong, built.unknown) == ({"salt", "hot", "carrots", "kind"}, ["spoon"])
    # Where a field is wrong, no rule that reads it runs.
    built = build(Soup, {"carrots": "x"})
    assert [line.partition(":")[0] for line in built.lines] == ["soup.carrots=x"]


def test_an_old_name_works_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match=r"soup\.pinches: is called soup\.salt now"):
        assert Soup(pinches=2).salt == 2.0  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: RatiosConfig(rule="fast", svd=2), "ratios=fast: takes no ratios of its own"),
        (lambda: RatiosConfig(rule="custom", svd=2), "ratios=custom: needs two of"),
        (lambda: ScheduleConfig(delta=0.9, shape="cubic"), "schedule.delta=0.9: goes with"),
        (lambda: ScheduleConfig(every="0"), "schedule.every=0: choose auto, epoch or"),
        (lambda: ScheduleConfig(every=1.5), "schedule.every=1.5: choose auto, epoch or"),  # type: ignore[arg-type]
        (lambda: DistillConfig(prediction=0), "distill.prediction=0: the classifier would"),
        (lambda: OptimConfig(epochs=1, steps=1), "optim.steps=1: optim.epochs=1 is given too"),
        (lambda: TeacherConfig(epochs=1, steps=1), "teacher.steps=1: teacher.epochs=1 is given"),
        (lambda: TrainerConfig(devices=2), "trainer.devices=2, trainer.num_nodes=1: several"),
        (lambda: TargetConfig(ratio=0.5), "target.ratio=0.5: must be at least 1"),
    ],
)
def test_groups_check_themselves(make, line: str) -> None:
    with pytest.raises(LadaError) as error:
        make()
    assert str(error.value).startswith(line)


def test_a_group_from_python_is_that_of_the_command_line() -> None:
    assert RatiosConfig(rule="solved") == Config().ratios
    assert ScheduleConfig(every=200).every == "200"  # type: ignore[arg-type]
    assert from_values({}) == Config()
    assert from_values(plain(Config())) == Config()


def test_mistakes_of_several_groups_have_a_line_each() -> None:
    values = {
        "optim": {"lr": -1, "batch_size": 1},
        "trainer": {"accumulate": 2, "checks": 0},
        "method": {"name": "kd", "beta": 1},
        "soup": {"salt": 1},
        "seed": -1,
        "paths": 3,
        "target": {"ratio": "???"},
    }
    with pytest.raises(LadaError) as error:
        from_values(values)
    begins = [line.partition(":")[0] for line in error.value.args]
    # The batch of 1 is not compared with trainer, in which something is wrong.
    assert begins == ["target.ratio", "optim.lr=-1", "trainer.checks=0", "paths=3", "method.beta",
                      "soup", "seed=-1"]  # fmt: skip


def test_old_names_work_on_the_command_line_and_in_files(
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = ["data.select=40", "++trainer.spikes=1,2", "data.dir=data.select", "-m"]
    found, warnings = by_present_names(words)
    assert found == ["data.validation=40", "++trainer.skipped_steps=1,2", *words[2:]]
    assert [line.partition(":")[0] for line in warnings] == ["data.select", "trainer.spikes"]
    assert from_values({"data": {"select": 40}}).data == DataConfig(validation=40)
    assert "data.select: is called data.validation now" in caplog.text


def test_a_student_has_the_rate_of_its_model_unless_it_is_given() -> None:
    config = from_values({"model": {"lr": 0.5, "teacher_lr": 0.25}})
    assert (config.optim.rate, config.teacher.rate) == (0.5, 0.25)
    assert from_values({"model": {"lr": 0.5}, "optim": {"lr": 0.1}}).optim.rate == 0.1


def test_every_key_has_a_meaning_and_every_number_a_range() -> None:
    for key in keys().values():
        assert key.meaning.strip(), key.name
        if key.kind in (int, float):
            assert key.most is not None and (key.least, key.over) != (None, None), key.name
            assert not key.by_machine or key.why
    assert set(known_keys()) == {*keys(), "method.name"}


def test_fields_are_settings() -> None:
    """A plain default would have no meaning, range or role."""
    for cls in (*GROUPS.values(), *methods().values()):
        fields: dict[str, FieldInfo] = cls.__pydantic_fields__
        assert set(fields) == set(keys_of(cls)), cls


def test_methods_say_what_they_are() -> None:
    for name, cls in methods().items():
        assert (cls.name, asdict(cls())) == (name, {k: v.default for k, v in keys_of(cls).items()})
        assert issubclass(cls, FormSettings) == (cls.size == "form")
        assert cls.make is not MethodSettings.make
        assert set(cls.reads) <= {"ratios", "distill"}


def test_the_page_of_the_settings_is_that_of_the_classes() -> None:
    file = ROOT / "docs/config.md"
    made = page()
    assert file.read_text(encoding="utf-8") == made, (
        "make it again: python -m lada.config.docs > docs/config.md"
    )
    for name in known_keys():
        assert f"| `{name}` |" in made or name == "method.name"
