"""The folders of a trial."""

import os
from pathlib import Path

import pytest

from lada.search.attempts import drop_others, folder_of, newest_step, prepared


def begun(folder: Path, *steps: int) -> None:
    """A run that was killed after these steps."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "metrics.csv").write_text("rows")
    (folder / "log.txt").write_text("lines")
    (folder / ".lock").touch()
    (folder / "artifact").mkdir()
    for step in steps:
        (folder / "checkpoints" / f"step-{step:08d}-{'a' * 16}.ckpt").write_text(str(step))
    (folder / "checkpoints" / ".step.tmp").write_text("in part")


def test_an_attempt_begins_with_what_is_there(tmp_path: Path) -> None:
    first = prepared(tmp_path, 3, 1)
    assert first == tmp_path / "0003" / "1" and not list(first.iterdir())
    first.rmdir()
    begun(first, 5, 10)
    second = prepared(tmp_path, 3, 2)
    assert second == folder_of(tmp_path, 3, 2)
    assert newest_step(second) == 10
    assert {p.name for p in second.iterdir()} == {"checkpoints", "run.json", "metrics.csv"}
    assert {p.name for p in (second / "checkpoints").iterdir()} == {
        f"step-{step:08d}-{'a' * 16}.ckpt" for step in (5, 10)
    }
    # What the run before still writes does not reach it.
    (first / "metrics.csv").write_text("rows\nmore")
    (first / "checkpoints" / f"step-00000005-{'a' * 16}.ckpt").unlink()
    assert (second / "metrics.csv").read_text() == "rows"
    assert (second / "checkpoints" / f"step-00000005-{'a' * 16}.ckpt").read_text() == "5"


def test_attempts_without_a_checkpoint_are_passed_over(tmp_path: Path) -> None:
    begun(folder_of(tmp_path, 0, 1), 7)
    begun(folder_of(tmp_path, 0, 2))  # killed before its first
    folder_of(tmp_path, 0, 3).mkdir()  # killed before its run began
    assert newest_step(prepared(tmp_path, 0, 4)) == 7


def test_a_finished_run_is_not_done_again(tmp_path: Path) -> None:
    first = folder_of(tmp_path, 0, 1)
    begun(first, 7)
    (first / "results.json").write_text("{}")
    assert prepared(tmp_path, 0, 2) == first
    begun(folder_of(tmp_path, 0, 2))
    drop_others(first)
    assert list((tmp_path / "0000").iterdir()) == [first]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*args: object) -> None:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(os, "link", no_links)
    begun(folder_of(tmp_path, 0, 1), 7)
    assert newest_step(prepared(tmp_path, 0, 2)) == 7
