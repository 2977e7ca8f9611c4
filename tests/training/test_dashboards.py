"""Dashboards: what is logged, under which names, and each step once."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lada.errors import LadaError
from lada.report.entries import Grid, Made, Source, Table, as_json, drawn, from_json
from lada.report.watched import MatrixState, at_end, by_place, of_answers, of_round, of_spectra
from lada.training.backends import Trackio, check_installed
from lada.training.dashboards import JOURNAL, About, Dashboard, Row

TABLE = Table(("a", "b"), [["x", 1.5], ["y", None]])
GRID = Grid("t", ["r"], ["<c>"], [[0.5]], 0.0, 1.0)


class Stored:
    """A backend that keeps rows in a list, and may be lossy or know what a server has."""

    def __init__(self, last: int = -1):
        self.last, self.rows, self.ended = last, list[Row](), []

    def put(self, row: Row) -> None:
        self.rows.append(row)

    def finish(self, summary: Any, made: Made, step: int) -> None:
        self.ended.append((summary, step))

    def close(self, *, failed: bool) -> None:
        self.ended.append(failed)


def test_figures_and_entries_of_a_step_are_one_row(tmp_path: Path) -> None:
    backend = Stored()
    board = Dashboard(backend, tmp_path, None)
    board.log_metrics({"ratio": 2}, step=0)
    board.log_entries({"t": TABLE}, step=0)
    board.log_metrics({"train/loss": 1.0}, step=0)
    assert backend.rows == []  # the step may have more
    board.log_metrics({"train/loss": 0.5}, step=1)
    assert backend.rows == [Row(0, {"ratio": 2.0, "train/loss": 1.0}, {"t": TABLE})]
    board.close(failed=False)
    assert [row.step for row in backend.rows] == [0, 1]
    assert backend.ended == [False]


def test_a_failed_run_drops_the_row_that_may_be_incomplete(tmp_path: Path) -> None:
    backend = Stored()
    board = Dashboard(backend, tmp_path, None)
    board.log_metrics({"x": 1.0}, step=0)
    board.close(failed=True)
    assert (backend.rows, backend.ended) == ([], [True])


@pytest.mark.parametrize("had", [-1, 1, 4, 5])
def test_a_resumed_run_has_each_step_once(tmp_path: Path, had: int) -> None:
    """Killed after step 5, resumed after a checkpoint at 3; the backend has steps until ``had``."""
    board = Dashboard(Stored(), tmp_path, None)
    for step in range(6):
        board.log_metrics({"x": step}, step=step)
        board.log_entries({"t": TABLE, "g": GRID}, step=step)
    with (tmp_path / JOURNAL).open("a") as f:
        f.write('{"step": 6, "scal')  # the kill
    backend = Stored(had)
    board = Dashboard(backend, tmp_path, 3)
    for step in range(3, 8):
        board.log_metrics({"x": step}, step=step)
        board.log_entries({"t": TABLE, "g": GRID}, step=step)
    board.close(failed=False)
    assert [row.step for row in backend.rows] == list(range(had + 1, 8))
    whole = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()]
    assert [row["step"] for row in whole] == list(range(8))
    assert all(row.scalars == {"x": row.step} for row in backend.rows)
    assert from_json(as_json(GRID)) == GRID
    sent = backend.rows[0].entries
    assert as_json(sent["t"])["rows"] in ([["x", 1.5], ["y", None]], TABLE.rows)


def test_a_new_run_forgets_the_journal_of_another(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text('{"step": 0, "scalars": {"x": 1}, "entries": {}}\n')
    backend = Stored()
    Dashboard(backend, tmp_path, None).close(failed=False)
    assert backend.rows == []
    assert (tmp_path / JOURNAL).read_text() == ""


def test_a_round_has_its_matrices_as_a_table_and_as_a_map() -> None:
    states = [
        MatrixState("bert.encoder.layer.0.a.query", "factors", (4, 6), 2, 10, 20, "int4"),
        MatrixState("bert.encoder.layer.1.a.query", "masked", (4, 6), None, 6, 24, "fp32"),
        MatrixState("bert.embeddings.word_embeddings", "factors", (50, 4), 1, 54, 54, "fp32"),
    ]
    scalars, entries = of_round(2, 3.0, 2.9, 1000, states)
    assert scalars == {
        "compression/round": 2,
        "compression/target": 3.0,
        "compression/reached": 2.9,
        "compression/nonzeros": 1000,
    }
    table, grid = entries["compression/matrices"], entries["compression/map"]
    assert isinstance(table, Table)
    assert isinstance(grid, Grid)
    assert list(table.rows[0])[1:] == ["factors", 4, 6, 2, 0.5, "int4", 10, 10 / 24]
    assert list(grid.rows) == ["layer 0", "layer 1", "word_embeddings"]
    assert list(grid.columns) == ["a.query", "weight"]
    assert grid.values == [[10 / 24, None], [0.25, None], [None, 0.27]]
    assert of_round(1, 1.0, 1.0, 9, []) == (
        {**scalars, "compression/round": 1, "compression/target": 1.0,
         "compression/reached": 1.0, "compression/nonzeros": 9}, {})  # fmt: skip


def test_layers_stand_in_their_order() -> None:
    names = {f"e.layer.{n}.w": float(n) for n in (10, 2, 0)}
    assert list(by_place("", names, 0, 1).rows) == ["layer 0", "layer 2", "layer 10"]


def test_confusion_counts_are_those_of_a_plain_count() -> None:
    draw = np.random.default_rng(0)
    truth, answers = draw.integers(0, 3, (2, 200))
    entries = of_answers("dev", answers, truth, ("a", "b", "c"))
    grid, table = entries["confusion/map/dev"], entries["confusion/table/dev"]
    assert isinstance(grid, Grid)
    assert isinstance(table, Table)
    for label in range(3):
        for answer in range(3):
            count = sum(t == label and a == answer for t, a in zip(truth, answers, strict=True))
            assert grid.values[label][answer] == count
            assert ["abc"[label], "abc"[answer], count] in [list(row) for row in table.rows]
    many = of_answers("dev", np.array([40]), np.array([3]), [str(n) for n in range(41)])
    assert list(many) == ["confusion/table/dev"]  # a map of so many classes is not readable


def test_spectra_and_changed_examples_come_from_the_details_of_the_run() -> None:
    matrices = [
        {"name": "e.layer.0.w", "rank": 2, "spectrum": [[1, 1.0], [3, 0.5]], "energy": 0.8},
        {"name": "pooler", "rank": None},
    ]
    assert list(of_spectra(matrices)["spectra/values"].rows) == [
        ["e.layer.0.w", 1, 1.0, 2, True],
        ["e.layer.0.w", 3, 0.5, 2, False],
    ]
    example = {"texts": ["t"], "label": "a", "teacher": "a", "artifact": "b", "how": "lost"}
    details = {"matrices": matrices, "splits": {"dev": {"changed": {"examples": [example]}}}}
    units = {"artifact": {"dev": np.array([[0, 1], [1, 1]])}}
    entries = at_end(details, units, ("a", "b"))
    assert sorted(entries) == [
        "changed/dev",
        "confusion/map/dev",
        "confusion/table/dev",
        "spectra/map",
        "spectra/values",
    ]
    assert entries["changed/dev"].rows == [["t", "a", "a", "b", "lost"]]
    del details["splits"]["dev"]["changed"]["examples"]  # unless they are asked for
    assert "changed/dev" not in at_end(details, units, ())
    assert at_end({}, units, ()) == {}


def test_a_map_is_drawn_with_its_text_escaped() -> None:
    text = drawn(Grid("<script>", ["a&b"], ["<c>", "d"], [[0.5, None]], 0.0, 1.0))
    assert "<script>" not in text
    assert "&lt;c&gt;" in text
    assert text.count("<rect") == 2  # the ground, and the only value
    assert "0.5" in text


def test_what_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LadaError, match="logger=mlflow: it is not installed"):
        check_installed("mlflow")


ABOUT = About("id1", "lada", "csv-lada", "sweep", ("csv", "lada"), "compress", {"a": {"b": 1}})


def made(folder: Path) -> Made:
    (folder / "artifact").mkdir()
    (folder / "artifact/config.json").write_text("{}")
    sources = [Source("teacher-csv-k", "teacher", {"key": "k"}), Source("data-csv", "dataset", {})]
    return Made("csv-lada", ("latest", "seed1"), {"final/score": 0.5}, folder / "artifact", sources)


@pytest.mark.parametrize("new", [False, True])
def test_trackio_is_told_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    """With a stand-in that has the functions of trackio 0.43 that are used."""
    told: list[tuple[Any, ...]] = []
    before = SimpleNamespace(name="csv-lada-id1", delete=lambda: told.append(("delete",)))
    other = SimpleNamespace(name="csv-lada-id2", delete=lambda: told.append(("delete another",)))

    class Artifact:
        def __init__(self, name: str, type: str, metadata: Any):
            self.name, self.type, self.metadata, self.files = name, type, metadata, list[str]()

        def add_file(self, local_path: Path, name: str | None = None) -> None:
            self.files.append(local_path.name)

        def add_dir(self, local_dir: str, name: str | None = None) -> None:
            self.files += [file.name for file in Path(local_dir).iterdir()]

    def runs(project: str) -> list[Any]:
        if new:
            raise ValueError(f"Project '{project}' does not exist")
        return [before, other]

    fake: Any = ModuleType("trackio")
    fake.Api = lambda: SimpleNamespace(runs=runs)
    fake.init = lambda **given: told.append(("init", given))
    fake.log = lambda metrics, step=None: told.append(("log", metrics, step))
    fake.Table = lambda columns, data: ("table", columns, data)
    fake.Html = lambda data: ("html", data)
    fake.Artifact = Artifact
    fake.log_artifact = lambda one, aliases=None: told.append(
        ("artifact", one.name, one.type, one.files, aliases)
    )
    fake.use_artifact = lambda name: told.append(("use", name))
    fake.finish = lambda: told.append(("finish",))
    monkeypatch.setitem(sys.modules, "trackio", fake)
    board = Dashboard(Trackio(ABOUT), tmp_path, None)
    board.log_metrics({"x": 1.0}, step=0)
    board.log_entries({"t": TABLE, "g": GRID}, step=0)
    board.finish({"final/score": 0.5}, made(tmp_path), 4)
    board.close(failed=False)
    if not new:
        assert told.pop(0) == ("delete",)
    assert told[0] == ("init", {
        "project": "lada", "name": "csv-lada-id1", "group": "sweep", "embed": False,
        "config": {"a.b": 1, "tags": "csv, lada", "job": "compress"},
    })  # fmt: skip
    assert told[1:] == [
        ("log", {"x": 1.0, "t": ("table", ["a", "b"], [["x", 1.5], ["y", None]]),
                 "g": ("html", drawn(GRID))}, 0),
        ("artifact", "teacher-csv-k", "teacher", ["digest.json"], None),
        ("use", "teacher-csv-k:latest"),
        ("artifact", "data-csv", "dataset", ["digest.json"], None),
        ("use", "data-csv:latest"),
        ("artifact", "csv-lada", "model", ["config.json"], ["latest", "seed1"]),
        ("log", {"final/score": 0.5}, 4),
        ("finish",),
    ]  # fmt: skip


def test_mlflow_stores_each_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    from lada.training.backends import Mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    board = Dashboard(Mlflow(ABOUT, tmp_path), tmp_path, None)
    for step in range(4):
        board.log_metrics({"x": step}, step=step)
    board.close(failed=True)  # 3 is held back
    board = Dashboard(Mlflow(ABOUT, tmp_path), tmp_path, 2)
    for step in range(2, 6):
        board.log_metrics({"x": step}, step=step)
    board.log_entries({"t": TABLE, "g": GRID}, step=5)
    board.finish({"final/score": 0.5}, made(tmp_path), 6)
    board.close(failed=False)
    client = MlflowClient((tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("lada")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "x")
    assert [(one.step, one.value) for one in history] == [(n, n) for n in range(6)]
    assert run.data.metrics["final/score"] == 0.5
    assert run.data.params == {"a.b": "1"}
    assert run.data.tags["group"] == "sweep"
    assert run.data.tags["teacher"] == "teacher-csv-k"
    assert run.info.status == "FINISHED"
    stored = tmp_path / "mlruns" / experiment.experiment_id / run.info.run_id / "artifacts"
    assert (stored / "g/00000005.svg").read_text() == drawn(GRID)
    assert json.loads((stored / "t/00000005.json").read_text())["columns"] == ["a", "b"]
    assert (stored / "artifact/config.json").is_file()
