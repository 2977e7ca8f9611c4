"""The outputs of a teacher for every example, on disk without padding, read by memory map."""

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
"""Name of the file of checksums: one per example and file, in the order of `TYPES`."""

TYPES: dict[str, type[np.floating[Any]]] = {
    "logits": np.float32,
    "hidden": np.float16,
    "maps": np.float16,
}
"""Number type of each file, which holds the examples one after another, without padding."""


class OutOfRange(ValueError):
    """A number that its file cannot hold: NaN, infinite, or over 65,504 in float16."""


@dataclass(frozen=True)
class Layout:
    """How many numbers an example has in each file.

    Attributes:
        classes: logits of an example, or of a token.
        per_token: whether logits are per token.
        states: hidden states of a token (embedding output and each layer); 0: not stored.
        width: channels of a state.
        layers: layers with attention maps; 0: not stored.
        heads: of a layer.
    """

    classes: int
    states: int = 0
    width: int = 0
    layers: int = 0
    heads: int = 0
    per_token: bool = False

    def sizes(self, lengths: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """Numbers of each example in each file, for examples of ``lengths`` tokens, (examples,)."""
        sizes = {
            "logits": lengths * self.classes
            if self.per_token
            else np.full_like(lengths, self.classes),
            "hidden": lengths * (self.states * self.width),
            "maps": np.square(lengths) * (self.layers * self.heads),
        }
        stored = {"logits": True, "hidden": self.states > 0, "maps": self.layers > 0}
        return {name: size for name, size in sizes.items() if stored[name]}

    def bytes(self, lengths: NDArray[np.int64]) -> int:
        """Bytes of all files together."""
        sizes = self.sizes(lengths)
        return sum(int(size.sum()) * np.dtype(TYPES[n]).itemsize for n, size in sizes.items())


class _Files:
    """Where each example begins in each file."""

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
    """Writes the files, in any order of examples; each has to be written once.

    Args:
        folder: an existing one.
        lengths: tokens of each example, (examples,).
    """

    def __init__(self, folder: Path, lengths: NDArray[np.int64], layout: Layout):
        super().__init__(folder, lengths, layout)
        # Not by a memory map: on a full disk that kills the process, where a write raises.
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
        examples: NDArray[np.int64],
        logits: Tensor,
        hidden: Sequence[Tensor],
        maps: Sequence[Tensor],
    ) -> None:
        """Write a batch.

        Args:
            examples: numbers of the examples, (b,).
            logits: (b, classes), or (b, longest, classes) where they are per token.
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
                raise OutOfRange(f"{name} with a number that {TYPES[name].__name__} cannot hold")
            size = np.dtype(TYPES[name]).itemsize
            for example, values in zip(examples, part.cpu().numpy(), strict=True):
                n = self._lengths[example]
                if name == "hidden":
                    values = values[:, :n]
                elif name == "logits" and self._layout.per_token:
                    values = values[:n]
                elif name == "maps":
                    values = values[:, :, :n, :n]
                content = values.tobytes()
                self._checks[file, example] = zlib.crc32(content)
                _write(self._open[name], content, int(self._starts[name][example]) * size)


def _write(file: FileIO, content: bytes, place: int) -> None:
    file.seek(place)
    left = memoryview(content)
    while left:  # a nearly full disk writes a part
        left = left[file.write(left) :]


class TeacherOutputs(_Files):
    """Reads logits, hidden states and attention maps of any examples, padded with zeros.

    Args:
        folder: of the files that `OutputsWriter` wrote for the same lengths and layout. `open` it
            before `batch`.
        lengths: tokens of each example, (examples,).
    """

    def __init__(self, folder: Path, lengths: NDArray[np.int64], layout: Layout):
        super().__init__(folder, lengths, layout)
        self._maps: dict[str, NDArray[Any]] = {}
        self._checks = np.zeros((0, 0), dtype=np.uint32)

    def is_whole(self) -> bool:
        """Whether all files exist and have the right length."""
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
        """Map the files into memory; they may be deleted afterwards.

        Raises:
            LadaError: they cannot be read.
        """
        try:
            for name in self._starts:
                self._maps[name] = np.memmap(self._path(name), dtype=TYPES[name], mode="r")
            checks = np.fromfile(self.folder / CHECKS, dtype=np.uint32)
        except (OSError, ValueError) as error:
            raise LadaError(
                f"{self.folder}: the stored teacher outputs cannot be read ({error}). Delete this "
                "folder."
            ) from None
        self._checks = checks.reshape(len(self._starts), -1)

    def batch(self, examples: NDArray[np.int64]) -> dict[str, Tensor]:
        """The teacher's outputs for a batch of ``examples`` (b,).

        Returns:
            ``teacher_logits`` (b, classes) float32, or (b, longest, classes); and where they are
            stored, in float16, ``teacher_hidden`` (b, states, longest, width) and ``teacher_maps``
            (b, layers, heads, longest, longest).

        Raises:
            LadaError: an output differs from what was written.
        """
        lay, longest = self._layout, int(self._lengths[examples].max())
        shapes = {
            "logits": (longest, lay.classes) if lay.per_token else (lay.classes,),
            "hidden": (lay.states, longest, lay.width),
            "maps": (lay.layers, lay.heads, longest, longest),
        }
        out = {}
        for place_of_file, (name, starts) in enumerate(self._starts.items()):
            file, checks = self._maps[name], self._checks[place_of_file]
            padded = np.zeros((len(examples), *shapes[name]), dtype=TYPES[name])
            for place, number in enumerate(examples):
                n, values = self._lengths[number], file[starts[number] : starts[number + 1]]
                if zlib.crc32(values.data) != checks[number]:
                    raise LadaError(
                        f"{self._path(name)}: the output for example {number} is corrupt. Delete "
                        "this file and run the same command again: it makes the file again."
                    )
                if name == "hidden":
                    padded[place, :, :n] = values.reshape(lay.states, n, lay.width)
                elif name == "maps":
                    padded[place, :, :, :n, :n] = values.reshape(lay.layers, lay.heads, n, n)
                elif lay.per_token:
                    padded[place, :n] = values.reshape(n, lay.classes)
                else:
                    padded[place] = values
            out[f"teacher_{name}"] = torch.from_numpy(padded)
        return out
