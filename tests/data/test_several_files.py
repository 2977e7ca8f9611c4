"""A list of files to train on: texts are joined, and a run is known by each file."""

import json
import os
from pathlib import Path

import pytest
from heads.made import write_texts

from lada.config import Config, from_values
from lada.data.scored import load_texts
from lada.errors import LadaError
from lada.run.identity import run_key
from lada.run.runs import is_older_than_done


def test_texts_of_several_files_are_joined(tmp_path: Path) -> None:
    train, dev = write_texts(tmp_path)
    lines = train.read_text().splitlines()
    first, second = tmp_path / "first.txt", tmp_path / "second.jsonl"
    first.write_text("\n".join(lines[:100]))
    second.write_text("\n".join(json.dumps({"text": line}) for line in lines[100:]))
    (one, pairs), (joined, same) = (load_texts(files, dev) for files in ([train], [first, second]))
    assert (joined.digest, same["dev"].digest) == (one.digest, pairs["dev"].digest)
    with pytest.raises(LadaError, match=r"^task\.train_file=\S+none\.txt: there is no such file"):
        load_texts([first, tmp_path / "none.txt"], dev)


def test_a_list_of_files_in_the_config(tmp_path: Path) -> None:
    files = ["a, b.txt", "c.txt"]
    task = from_values({"task": {"name": "texts", "train_file": files}}).task
    assert task.train_file == '["a, b.txt", "c.txt"]'
    for wrong in (["a.txt"], ["a.txt", 1], []):
        with pytest.raises(LadaError, match="must be a file or a list of two files or more"):
            from_values({"task": {"name": "texts", "train_file": wrong}})
    with pytest.raises(LadaError, match=r"train_file=.*: is a list of files, which goes with task"):
        from_values({"task": {"name": "csv", "train_file": files}})


def test_a_run_of_several_files_is_known_by_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def config_of(*files: str) -> Config:
        return from_values({"task": {"name": "texts", "train_file": list(files)}})

    done = tmp_path / "results.json"
    for file in (done, tmp_path / "a.txt", tmp_path / "b.txt"):
        file.write_text("a text")
        os.utime(file, (1, 1))
    monkeypatch.chdir(tmp_path)
    config = config_of("a.txt", "b.txt")
    key = run_key(config)
    assert run_key(config_of("b.txt", "a.txt")) != key
    assert is_older_than_done(tmp_path, config)
    os.utime("b.txt", (2, 2))
    assert not is_older_than_done(tmp_path, config)
    monkeypatch.chdir(tmp_path.parent)  # the same files by other names
    assert run_key(config_of(f"{tmp_path.name}/a.txt", f"{tmp_path.name}/b.txt")) == key
