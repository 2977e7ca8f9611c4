"""A teacher's outputs on disk: what is read is what was written, at float16."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lada.data.outputs import Layout, OutOfRange, OutputsWriter, TeacherOutputs
from lada.errors import LadaError

WHOLE = Layout(classes=3, states=4, width=5, layers=2, heads=3)
LENGTHS = np.array([3, 7, 1, 7, 2], dtype=np.int64)


def _drawn(layout: Layout, lengths: np.ndarray, rows: np.ndarray) -> tuple:
    """Outputs of a padded batch; what is beyond a row's length differs from what is in it."""
    longest, count = int(lengths[rows].max()), len(rows)
    generator = torch.Generator().manual_seed(int(rows.sum()))

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return (
        draw(count, layout.classes),
        [draw(count, longest, layout.width) for _ in range(layout.states)],
        [draw(count, layout.heads, longest, longest) for _ in range(layout.layers)],
    )


def _written(
    folder: Path, layout: Layout, lengths: np.ndarray, batches: list[np.ndarray]
) -> list[tuple]:
    parts = [_drawn(layout, lengths, rows) for rows in batches]
    with OutputsWriter(folder, lengths, layout) as writer:
        for rows, part in zip(batches, parts, strict=True):
            writer.put(rows, *part)
    return parts


@settings(max_examples=40)
@given(data=st.data())
def test_round_trip(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    count = data.draw(st.integers(1, 9))
    lengths = np.array(data.draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)))
    layout = Layout(
        classes=data.draw(st.integers(1, 3)),
        states=data.draw(st.integers(0, 3)),
        width=4,
        layers=data.draw(st.integers(0, 2)),
        heads=2,
    )
    order = np.array(data.draw(st.permutations(range(count))))
    batches = np.array_split(order, data.draw(st.integers(1, count)))
    folder = tmp_path_factory.mktemp("outputs")
    parts = _written(folder, layout, lengths, batches)
    assert sum(f.stat().st_size for f in folder.glob("*.float*")) == layout.bytes(lengths)
    outputs = TeacherOutputs(folder, lengths, layout)
    assert outputs.is_whole()
    outputs.open()
    asked = np.array(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=5)))
    read = outputs.batch(asked)
    longest = int(lengths[asked].max())
    for place, row in enumerate(asked):
        (batch,) = (i for i, rows in enumerate(batches) if row in rows)
        at = int(np.flatnonzero(batches[batch] == row)[0])
        logits, hidden, maps = (
            parts[batch][0][at],
            [h[at] for h in parts[batch][1]],
            [m[at] for m in parts[batch][2]],
        )
        n = int(lengths[row])
        assert torch.equal(read["teacher_logits"][place], logits)
        for layer, state in enumerate(hidden):
            expected = torch.zeros(longest, layout.width, dtype=torch.float16)
            expected[:n] = state[:n].half()
            assert torch.equal(read["teacher_hidden"][place, layer], expected)
        for layer, one in enumerate(maps):
            padded = torch.zeros(layout.heads, longest, longest, dtype=torch.float16)
            padded[:, :n, :n] = one[:, :n, :n].half()
            assert torch.equal(read["teacher_maps"][place, layer], padded)
    assert ("teacher_hidden" in read) == (layout.states > 0)
    assert ("teacher_maps" in read) == (layout.layers > 0)


def test_files_may_go_once_they_are_open(tmp_path: Path) -> None:
    _written(tmp_path, WHOLE, LENGTHS, [np.arange(5)])
    outputs = TeacherOutputs(tmp_path, LENGTHS, WHOLE)
    outputs.open()
    rows = np.array([1, 4])
    read = outputs.batch(rows)
    for file in tmp_path.iterdir():
        file.unlink()
    again = outputs.batch(rows)
    assert all(torch.equal(read[name], again[name]) for name in read)
    with pytest.raises(LadaError, match="cannot be read"):
        TeacherOutputs(tmp_path, LENGTHS, WHOLE).open()


@pytest.mark.parametrize("name", ["logits.float32", "hidden.float16", "maps.float16"])
def test_any_flipped_bit_is_noticed(tmp_path: Path, name: str) -> None:
    _written(tmp_path, WHOLE, LENGTHS, [np.arange(5)])
    content = (tmp_path / name).read_bytes()
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        (tmp_path / name).write_bytes(flipped)
        outputs = TeacherOutputs(tmp_path, LENGTHS, WHOLE)
        outputs.open()
        with pytest.raises(LadaError, match=rf"{name}: the output for example \d is corrupt"):
            outputs.batch(np.arange(5))


@pytest.mark.parametrize("name", ["logits.float32", "hidden.float16", "maps.float16", "crc32"])
@pytest.mark.parametrize("damage", ["short", "long", "gone"])
def test_not_whole(tmp_path: Path, name: str, damage: str) -> None:
    _written(tmp_path, WHOLE, LENGTHS, [np.arange(5)])
    file = tmp_path / name
    content = file.read_bytes()
    file.write_bytes(content[:-1] if damage == "short" else content + b"x")
    if damage == "gone":
        file.unlink()
    assert not TeacherOutputs(tmp_path, LENGTHS, WHOLE).is_whole()


@pytest.mark.parametrize("bad", [70_000.0, float("nan"), float("-inf")])
@pytest.mark.parametrize("part", [1, 2])
def test_beyond_float16(tmp_path: Path, bad: float, part: int) -> None:
    outputs = _drawn(WHOLE, LENGTHS, np.arange(5))
    outputs[part][0][0, 0, 0] = bad
    with (
        pytest.raises(OutOfRange, match="float16"),
        OutputsWriter(tmp_path, LENGTHS, WHOLE) as writer,
    ):
        writer.put(np.arange(5), *outputs)
