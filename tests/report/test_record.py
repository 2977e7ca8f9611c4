import json
from pathlib import Path

import pytest

from lada.report.record import machine, without_paths, write_json


def test_paths_are_left_out_and_nothing_else() -> None:
    given = {
        "dir": "/home/someone/glue",
        "home": "~/data",
        "list": ["data.dir=/mnt/x", "hydra.run.dir='/tmp/y'", "task=sst2", "a=b=/c"],
        "relative": "outputs/x",
        "hub": "google-bert/bert-base-uncased",
        "number": 1.5,
        "none": None,
    }
    assert without_paths(given) == {
        "dir": "PATH",
        "home": "PATH",
        "list": ["data.dir=PATH", "hydra.run.dir=PATH", "task=sst2", "a=b=PATH"],
        "relative": "outputs/x",
        "hub": "google-bert/bert-base-uncased",
        "number": 1.5,
        "none": None,
    }


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
