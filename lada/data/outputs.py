"""What a teacher gives for every row, kept on disk without padding and read by memory map."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lada.errors import LadaError

CHECKS = "crc32"
"""Name of the file of a checksum for each row in each of the others, in the order of `TYPES`."""

TYPES: dict[str, type[np.floating[Any]]] = {
    "logits": np.float32,
    "hidden": np.float16,
    "maps": np.float16,
}
"""Number type of each file, which holds the rows one after another, each without padding."""


class OutOfRange(ValueError):
    """A number that its file cannot hold: none at all, or over 65,504 in float16."""


@dataclass(frozen=True)
class Layout:
    """Numbers that one row of ``length`` tokens has in each file.

    Attributes:
        classes: logits of a row.
        states: hidden states of a token (the embedding output's and each layer's); 0: not kept.
        width: channels of a state.
        layers: attention maps of a head; 0: not kept.
        heads: of a layer.
    """

    classes: int
    states: int = 0
    width: int = 0
    layers: int = 0
    heads: int = 0

    def sizes(self, lengths: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """Numbers of each row in each file there is, for rows of ``lengths`` tokens, (rows,)."""
        sizes = {
            "logits": np.full_like(lengths, self.classes),
            "hidden": lengths * (self.states * self.width),
            "maps": np.square(lengths) * (self.layers * self.heads),
        }
        kept = {"logits": True, "hidden": self.states > 0, "maps": self.layers > 0}
        return {name: size for name, size in sizes.items() if kept[name]}

    def bytes(self, lengths: NDArray[np.int64]) -> int:
        """Bytes of all files together."""
        sizes = self.sizes(lengths)
        return sum(int(size.sum()) * np.dtype(TYPES[n]).itemsize for n, size in sizes.items())


class _Files:
    """Where each row begins in each file."""

    def __init__(self, folder: Path, lengths: NDArray[np.int64], layout: Layout):
        self.folder = folder
        self._lengths = lengths
        self._layout = layout
        self._starts = {
            name: np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(size)])
            for name, size in layout.sizes(lengths).items()
        }

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.{np.dtype(TYPES[name]).name}"


class OutputsWriter(_Files):
    """Writes the files, rows in any order; each row has to come once.

    Args:
        folder: exists.
        lengths: tokens of each row, (rows,).
    """

    def __init__(self, folder: Path, lengths: NDArray[np.int64], layout: Layout):
        super().__init__(folder, lengths, layout)
        # Not by a memory map: on a full disk that ends the process, where a write says so.
        self._open = {name: self._path(name).open("wb", buffering=0) for name in self._starts}
        self._checks = np.zeros((len(self._starts), len(lengths)), dtype=np.uint32)

    def __enter__(self) -> "OutputsWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with (self.folder / CHECKS).open("wb") as checks:
                    checks.write(self._checks.tobytes())
                    checks.flush()
                    os.fsync(checks.fileno())
                for file in self._open.values():
                    os.fsync(file.fileno())
        finally:
            for file in self._open.values():
                file.close()

    def put(
        self,
        rows: NDArray[np.int64],
        logits: Tensor,
        hidden: Sequence[Tensor],
        maps: Sequence[Tensor],
    ) -> None:
        """Write a batch.

        Args:
            rows: row numbers, (b,).
            logits: (b, classes).
            hidden: states of (b, longest, width) each.
            maps: layers of (b, heads, longest, longest) each.

        Raises:
            OutOfRange: a state or map has a number that float16 cannot hold.
            OSError: the disk is full.
        """
        parts: dict[str, Tensor] = {"logits": logits.float()}
        if hidden:
            parts["hidden"] = torch.stack([state.half() for state in hidden], 1)
        if maps:
            parts["maps"] = torch.stack([one.half() for one in maps], 1)
        for file, (name, part) in enumerate(parts.items()):
            if not bool(torch.isfinite(part).all()):
                raise OutOfRange(f"{name} with a number that {TYPES[name].__name__} does not hold")
            size = np.dtype(TYPES[name]).itemsize
            for row, values in zip(rows, part.cpu().numpy(), strict=True):
                n = self._lengths[row]
                if name == "hidden":
                    values = values[:, :n]
                elif name == "maps":
                    values = values[:, :, :n, :n]
                content = values.tobytes()
                self._checks[file, row] = zlib.crc32(content)
                _write(self._open[name], content, int(self._starts[name][row]) * size)


def _write(file: FileIO, content: bytes, place: int) -> None:
    file.seek(place)
    left = memoryview(content)
    while left:  # a disk that is nearly full takes a part
        left = left[file.write(left) :]


class TeacherOutputs(_Files):
    """Reads the files: logits, hidden states and attention maps of any rows, padded by zeros.

    Args:
        folder: of the files that `OutputsWriter` wrote for the same lengths and layout. `open` it
            before `batch`.
        lengths: tokens of each row, (rows,).
    """

    def __init__(self, folder: Path, lengths: NDArray[np.int64], layout: Layout):
        super().__init__(folder, lengths, layout)
        self._maps: dict[str, NDArray[Any]] = {}
        self._checks = np.zeros((0, 0), dtype=np.uint32)

    def is_whole(self) -> bool:
        """Whether all files are there, each as long as it has to be."""
        sizes = {
            self._path(name): int(starts[-1]) * np.dtype(TYPES[name]).itemsize
            for name, starts in self._starts.items()
        }
        sizes[self.folder / CHECKS] = 4 * len(self._starts) * len(self._lengths)
        try:
            return all(path.stat().st_size == size for path, size in sizes.items())
        except OSError:
            return False

    def open(self) -> None:
        """Map the files into memory: from now on they may be gone from their folder.

        Raises:
            LadaError: they are gone already.
        """
        try:
            for name in self._starts:
                self._maps[name] = np.memmap(self._path(name), dtype=TYPES[name], mode="r")
            checks = np.fromfile(self.folder / CHECKS, dtype=np.uint32)
        except (OSError, ValueError) as error:
            raise LadaError(f"{self.folder}: cannot be read ({error}); delete it") from None
        self._checks = checks.reshape(len(self._starts), -1)

    def batch(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """The teacher's part of a batch of ``rows`` (b,).

        Returns:
            ``teacher_logits`` (b, classes) float32; and where they are kept, in float16,
            ``teacher_hidden`` (b, states, longest, width) and ``teacher_maps``
            (b, layers, heads, longest, longest).

        Raises:
            LadaError: a row is not what was written.
        """
        lay, longest = self._layout, int(self._lengths[rows].max())
        shapes = {
            "logits": (lay.classes,),
            "hidden": (lay.states, longest, lay.width),
            "maps": (lay.layers, lay.heads, longest, longest),
        }
        out = {}
        for place_of_file, (name, starts) in enumerate(self._starts.items()):
            file, checks = self._maps[name], self._checks[place_of_file]
            padded = np.zeros((len(rows), *shapes[name]), dtype=TYPES[name])
            for place, row in enumerate(rows):
                n, values = self._lengths[row], file[starts[row] : starts[row + 1]]
                if zlib.crc32(values.data) != checks[row]:
                    raise LadaError(
                        f"{self._path(name)}: row {row} is damaged; delete this file, the same "
                        "command makes it again"
                    )
                if name == "hidden":
                    padded[place, :, :n] = values.reshape(lay.states, n, lay.width)
                elif name == "maps":
                    padded[place, :, :, :n, :n] = values.reshape(lay.layers, lay.heads, n, n)
                else:
                    padded[place] = values
            out[f"teacher_{name}"] = torch.from_numpy(padded)
        return out
