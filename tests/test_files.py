"""Files from strangers: what is read, and what is rejected without being waited for."""

import os
import socket
from pathlib import Path

import pytest

from lada.errors import LadaError
from lada.files import check_regular, read_regular


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
