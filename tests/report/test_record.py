import json
from pathlib import Path

import pytest

from lada.report.record import command_line, machine, start_of, without_paths, write_json

PATHS = ("data.dir", "task.train_file", "model.path", "teacher.path", "method.path",
         "paths.outputs", "resume")  # fmt: skip


def test_paths_are_left_out_of_commands() -> None:
    given = ["task=sst2", "data.dir=../glue", "hydra.run.dir='/tmp/y'", "a=b c", "resume=null"]
    line = "python train.py task=sst2 data.dir=PATH 'a=b c' resume=null"
    assert command_line(given, PATHS) == line
    hidden = command_line(["method=bert_small", "method.path=/home/me/mini"], PATHS)
    assert hidden == "python train.py method=bert_small method.path=PATH"


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"name": "lada"}, ""),
        ({"name": "bert_small", "path": None}, "from scratch"),
        ({"name": "tinybert", "path": "PATH"}, ""),
        ({"name": "tinybert", "path": None, "start": "random"}, "from scratch"),
        ({"name": "tinybert", "path": None, "start": "teacher"}, ""),
    ],
)
def test_where_a_student_starts(method: dict, said: str) -> None:
    assert start_of(method) == said


def test_paths_are_left_out_and_nothing_else() -> None:
    given = {
        "data": {"dir": "../glue", "select": None},
        "task": {"name": "csv", "train_file": "rows.csv", "text": "text"},
        "model": {"name": "local", "path": "/models/x"},
        "teacher": {"path": None},
        "paths": {"outputs": "outputs"},
        "resume": None,
        "seed": 1,
    }
    assert without_paths(given, PATHS) == {
        "data": {"dir": "PATH", "select": None},
        "task": {"name": "csv", "train_file": "PATH", "text": "text"},
        "model": {"name": "local", "path": "PATH"},
        "teacher": {"path": None},
        "paths": {"outputs": "PATH"},
        "resume": None,
        "seed": 1,
    }
    hub = {"model": {"name": "bert-base", "path": "google-bert/bert-base-uncased"}}
    assert without_paths(hub, PATHS) == hub


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert json.loads(file.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_machine_does_not_name_the_host() -> None:
    import socket

    told = json.dumps(machine("cpu", 2))
    assert socket.gethostname() not in told
    assert '"torch"' in told
