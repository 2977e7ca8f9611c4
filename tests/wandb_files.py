"""What a run of Weights & Biases stored offline, read back from its file."""

import json
import struct
from pathlib import Path
from typing import Any

BLOCK = 32 * 1024
HEAD = 7
"""Bytes before the first record, and before each part of a record: those of LevelDB's log."""


def stored(file: Path) -> list[Any]:
    """The records of a ``.wandb`` file; what was not written whole is left out."""
    from wandb.proto.wandb_internal_pb2 import Record

    data = file.read_bytes()
    assert data[:4] == b":W&B"
    place, found, parts = HEAD, [], b""
    while place + HEAD <= len(data):
        if BLOCK - place % BLOCK < HEAD:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEAD])
        if kind == 0:
            break
        parts += data[place + HEAD : place + HEAD + length]
        place += HEAD + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(parts))
            parts = b""
    return found


def history(records: list[Any]) -> list[dict[str, Any]]:
    """The rows, in order, with ``_step``."""
    rows = [record.history for record in records if record.WhichOneof("record_type") == "history"]
    return [{_name(item): json.loads(item.value_json) for item in row.item} for row in rows]


def _name(item: Any) -> str:
    return item.key or ".".join(item.nested_key)
