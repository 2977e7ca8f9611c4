"""What pyproject.toml says of the package agrees with what is there."""

import re
import tomllib

from helpers import ROOT

import lada
from lada import program

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_all_packages_travel() -> None:
    here = {f.parent.relative_to(ROOT) for f in (ROOT / "lada").rglob("*.py")}
    named = PYPROJECT["tool"]["setuptools"]["packages"]
    assert sorted(named) == sorted([".".join(p.parts) for p in here] + ["lada.conf"])


def test_type_checkers_see_the_types_of_an_installed_lada() -> None:
    assert (ROOT / "lada" / "py.typed").read_bytes() == b""  # PEP 561: all of it is typed
    assert "py.typed" in PYPROJECT["tool"]["setuptools"]["package-data"]["lada"]


def test_the_versions_of_python_are_those_that_ci_runs() -> None:
    said = "\n".join(PYPROJECT["project"]["classifiers"])
    named = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", said, re.MULTILINE)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert named == re.findall(r'"(.*?)"', matrix)
    assert PYPROJECT["project"]["requires-python"] == f">={named[0]}"


def test_one_version() -> None:
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PYPROJECT["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (released, *_) = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}$", changes, re.MULTILINE)
    assert released == lada.__version__


def test_extras_that_are_named_exist() -> None:
    named = set()
    for folder in ("lada", "conf", "docs"):
        for file in (ROOT / folder).rglob("*.*"):
            if file.suffix in (".py", ".yaml", ".md"):
                text = file.read_text(encoding="utf-8")
                assert "install 'lada[" not in text, file
                named |= set(re.findall(r"ladabert\[(\w+)\]", text))
    assert named
    assert named <= set(PYPROJECT["project"]["optional-dependencies"])


def test_conf_is_found_in_a_checkout_and_inside_the_package(tmp_path, monkeypatch) -> None:
    assert program.conf_folder() == ROOT / "conf"
    monkeypatch.setattr(program, "_PACKAGE", tmp_path)
    (tmp_path / "conf").mkdir()
    assert program.conf_folder() == tmp_path / "conf"


def test_what_was_typed(monkeypatch) -> None:
    monkeypatch.delenv(program.PROGRAM, raising=False)
    monkeypatch.setattr("sys.argv", ["/some/where/train.py", "seed=1"])
    assert program.typed() == "python train.py"
    monkeypatch.setattr("sys.argv", ["lada compress", "seed=1"])
    assert program.typed() == "lada compress"
    monkeypatch.setenv(program.PROGRAM, "python train.py")  # a child of that
    assert program.typed() == "python train.py"
