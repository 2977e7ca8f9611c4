"""Imports point one way (see CONTRIBUTING.md)."""

import ast
from pathlib import Path

from helpers import ROOT

PACKAGE = ROOT / "lada"
MAY_IMPORT = {
    "ops": {"ops"},
    "report": {"report", "heads", "files"},
    "heads": {"heads", "data", "ops", "report", "errors"},
    "data": {"data", "heads", "ops", "errors", "files"},
    "nn": {"nn", "ops", "errors", "files", "values"},
    "schema": {"schema", "errors", "overrides", "values"},
    "methods": {"methods", "heads", "nn", "ops", "schema", "errors", "limits", "values"},
    "artifact": {"artifact", "data", "heads", "nn", "ops", "report", "errors", "files"},
    "training": {
        "training",
        "heads",
        "methods",
        "nn",
        "ops",
        "data",
        "report",
        "errors",
        "files",
        "compression",
    },
}
HYDRA = {"config/check.py", "config/store.py", "run/choices.py", "run/entry.py", "run/main.py",
         "run/sweep.py", "search/compose.py"}  # fmt: skip


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add(str(node.module))
    return names


def test_packages_import_only_what_they_may() -> None:
    seen = 0
    for folder, allowed in MAY_IMPORT.items():
        for file in (PACKAGE / folder).rglob("*.py"):
            for name in imported(file):
                if name.startswith("lada."):
                    seen += 1
                    assert name.split(".")[1] in allowed, f"{file} imports {name}"
    assert seen > 30


def test_what_any_loop_may_use_knows_no_config() -> None:
    for name in ("compression.py", "distilling.py", "preparing.py"):
        for module in imported(PACKAGE / name):
            assert not module.startswith(("lada.config", "lada.run")), (name, module)


def test_the_machine_is_settled_in_one_place() -> None:
    """Nothing but `lada.run.machine` asks what ``auto`` means here."""
    picks = {"pick_accelerator", "pick_precision", "pick_workers"}
    seen = set()
    for file in PACKAGE.rglob("*.py"):
        names = {n.id for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Name)}
        attributes = {
            n.attr for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Attribute)
        }
        if picks & (names | attributes):
            seen.add(str(file.relative_to(PACKAGE)))
    assert seen == {"run/machine.py"}


def test_keys_are_made_in_one_place() -> None:
    """What uses a key of a run, a teacher or stored outputs has it from `lada.run.identity`."""
    for file in (PACKAGE / "run").glob("*.py"):
        assert ("hashlib" in imported(file)) == (file.name == "identity.py"), file


def test_ops_import_torch_alone() -> None:
    for file in (PACKAGE / "ops").glob("*.py"):
        outside = {n.split(".")[0] for n in imported(file)} - {"lada"}
        assert outside <= {"torch", "math", "dataclasses", "collections", "itertools", "typing"}, (
            f"{file}: {outside}"
        )


def test_metrics_import_numpy_alone() -> None:
    for file in (PACKAGE / "ops" / "metrics").glob("*.py"):
        outside = {n.split(".")[0] for n in imported(file)} - {"lada"}
        assert outside <= {"numpy", "typing", "math", "re", "string", "collections"}, (
            f"{file}: {outside}"
        )


def test_hydra_and_lightning_keep_to_their_places() -> None:
    for file in PACKAGE.rglob("*.py"):
        roots = {n.split(".")[0] for n in imported(file)}
        place = file.relative_to(PACKAGE)
        if roots & {"hydra", "omegaconf"}:
            assert str(place) in HYDRA, file
        if "lightning" in roots:
            assert place.parts[0] == "training", file


def test_no_pickle() -> None:
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        for call in text.split("torch.load(")[1:]:
            assert "weights_only=True" in call.split("\n")[0], file
        assert "pickle.load" not in text
        assert "trust_remote_code=" not in text.replace("trust_remote_code=False", "")
