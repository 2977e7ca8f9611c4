"""What a real run stores for Weights & Biases, offline, read back from its file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Result, record_of, run_in
from stopped import ctrl_c, under
from wandb_files import history, stored

from lada.report.view import unknown_keys, view_of
from lada.training.dashboards import JOURNAL
from lada.training.modules import StudentModule

pytestmark = pytest.mark.slow

Cli = Callable[..., Result]


@pytest.fixture
def resumed(train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: Any) -> Path:
    """The folder of a run that was stopped after 14 steps and resumed."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("LADA_SWEEP", "2026-01-31-12-00-00")
    args = under(tmp_path, [*tiny, "logger=wandb", "logger.project=p", "report.examples=true"])
    with ctrl_c(StudentModule, 14):
        assert train_py(*args).code == 130
    done = train_py(*args)
    assert done.code == 0, done.err
    return run_in(tmp_path / "out")


def test_a_resumed_run_is_one_file_with_each_step_once(resumed: Path) -> None:
    (file,) = resumed.glob("wandb/offline-run-*/run-*.wandb")
    records, record = stored(file), record_of(resumed)
    rows = history(records)
    steps = [row["_step"] for row in rows]
    assert steps == sorted(set(steps))
    assert steps == [json.loads(line)["step"] for line in (resumed / JOURNAL).open()]
    names = set().union(*rows)
    terms = {"prediction", "hidden", "attention", "embedding"}
    assert {"train/loss", "optim/lr"} <= names
    assert len([name for name in names if name.startswith("train/")]) >= len(terms)
    for name in ("validation/accuracy", "ratio", "compression/reached", "confusion/map/dev"):
        assert any(n == name or n.startswith(f"{name}.") for n in names), name
    rounds = [row for row in rows if "compression/round" in row]
    assert [row["compression/round"] for row in rounds] == list(range(1, 5))
    assert [row["_step"] for row in rounds] == [r["step"] for r in record["plan"]["rounds"]]
    assert rounds[-1]["compression/reached"] == pytest.approx(record["reached"], rel=0.01)
    for row in rounds:
        assert row["compression/matrices._type"] == "table-file"
        assert row["compression/map._type"] == "html-file"
        assert (file.parent / "files" / row["compression/map.path"]).is_file()
    # How it is found.
    (run,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
    assert (run.project, run.run_group, run.job_type) == ("p", "2026-01-31-12-00-00", "compress")
    assert run.display_name == "csv-lada-5x-seed1"
    assert {"csv", "lada", "5x"} <= set(run.tags)
    assert str(resumed.parent) not in str(run.config)  # paths stay here
    # The artifact, and what it is made from.
    made = [r.artifact for r in records if r.WhichOneof("record_type") == "artifact"]
    by_type = {one.type: one for one in made}
    model = by_type["model"]
    assert model.name == "csv-lada-5x"
    assert {"latest", "seed1", "int8"} <= set(model.aliases)
    assert {part.path for part in model.manifest.contents} >= {"model.safetensors", "config.json"}
    about = json.loads(model.metadata)
    assert about["data"]["train"] == record["data"]["train"]["sha256"]
    assert record["teacher"]["key"].startswith(about["teacher"])
    for kind in ("teacher", "dataset"):
        assert by_type[kind].use_after_commit  # an input of the run, once it is synced
    # The final figures.
    summary = {}
    for r in records:
        if r.WhichOneof("record_type") == "summary":
            summary |= {u.key: json.loads(u.value_json) for u in r.summary.update if u.key}
    assert summary["final/score"] == record["artifact"]["scores"]["dev"]["accuracy"]
    assert summary["final/bytes"] == record["artifact"]["stored_bytes"]
    # The saved view shows nothing that a run does not store.
    stored_keys = {name.removesuffix("._type") for name in names} | set(summary)
    assert unknown_keys(view_of("p"), stored_keys) == []
    # Examples are shown where they are asked for, and some answers changed.
    details = json.loads((resumed / "details.json").read_text())
    asked = bool(details["splits"]["dev"]["changed"]["examples"])
    assert any(name.startswith("changed/dev.") for name in names) == asked
    (ended,) = [r.exit for r in records if r.WhichOneof("record_type") == "exit"]
    assert ended.exit_code == 0
