"""What is read, what is rejected without being waited for, and where files may be written."""

import os
import socket
import stat
from pathlib import Path

import pytest

from lada.errors import LadaError
from lada.files import (
    apply_umask,
    check_regular,
    check_writable_target,
    read_json,
    read_regular,
    read_text,
    temporary_file,
    temporary_folder,
)


@pytest.mark.parametrize("content", [b"", b"x", b"\x00" * 100])
def test_regular_files_are_read(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    (tmp_path / "link").symlink_to(file)
    for path in (file, tmp_path / "link"):
        assert read_regular(path, 100) == content
        check_regular(path, 100)
        check_regular(path)


def test_larger_files_are_rejected(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with file.open("wb") as f:
        f.truncate(10**12)  # no such room is taken
    check_regular(file)
    for call in (check_regular, read_regular):
        with pytest.raises(LadaError, match="larger than 1 MiB"):
            call(file, 2**20)


def test_files_whose_size_is_not_told(tmp_path: Path) -> None:
    file = Path("/proc/self/status")
    if not file.exists():
        pytest.skip("no /proc here")
    assert file.stat().st_size == 0
    with pytest.raises(LadaError, match="larger"):
        read_regular(file, 10)


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "terminal").symlink_to("/dev/tty")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "socket"))
        for name in ("pipe", "folder", "device", "terminal", "socket"):
            for call in (check_regular, read_regular):
                with pytest.raises(LadaError, match="not a regular file") as caught:
                    call(tmp_path / name, 2**20)
                assert str(tmp_path / name) in str(caught.value)


def test_missing(tmp_path: Path) -> None:
    for call in (check_regular, read_regular):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "none", 1)


def test_text_and_json(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('{"a": [1, 2.5, "\u00e9"]}', encoding="utf-8")
    assert read_text(file).startswith('{"a"')
    assert read_json(file) == {"a": [1, 2.5, "\u00e9"]}
    deep = b"[" * 200_000 + b"]" * 200_000
    for bad in (b"\xff", b"", b"{", b"NaN", b"[-Infinity]", b"[1e999]", b"9" * 5000, deep):
        file.write_bytes(bad)
        with pytest.raises(ValueError, match=r"."):
            read_json(file)
    with pytest.raises(LadaError, match="larger"):
        read_json(file, 100)


def test_targets_that_may_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert check_writable_target(file, "--out") == file.resolve()
    file.touch()
    assert check_writable_target(file, "--out") == file.resolve()
    (tmp_path / "link").symlink_to(file)
    assert check_writable_target(tmp_path / "link", "--out") == file.resolve()
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    assert check_writable_target(tmp_path / "dangling", "--out") == tmp_path.resolve() / "new"


def test_targets_that_may_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    bad = ["/dev/null", "/dev/full", tmp_path, tmp_path / "pipe", tmp_path / "link"]
    bad += [tmp_path / "file" / "under", tmp_path / "none" / "file", tmp_path / "loop"]
    bad += [tmp_path / ("x" * 300), tmp_path / "zero\0byte"]
    for path in bad:
        with pytest.raises(LadaError, match=r"^--out ") as caught:
            check_writable_target(Path(path), "--out")
        assert len(str(caught.value).splitlines()) == 1
    assert not stat.S_ISREG(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o007])
def test_temporary_files_have_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        file = temporary_file(tmp_path / ("n" * 255))
        folder = temporary_folder(tmp_path / "folder")
    finally:
        os.umask(before)
    assert file.parent == folder.parent == tmp_path
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask
    (folder / "closed").touch(0o600)
    before = os.umask(umask)
    try:
        apply_umask(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "closed").stat().st_mode) == 0o666 & ~umask
    (folder / "closed").unlink()
    assert file.stat().st_size == 0 and not list(folder.iterdir())
