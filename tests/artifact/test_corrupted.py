"""Thousands of corrupt and hostile artifacts: each is rejected, or is still the same model."""

import json
import random
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lada.artifact.classes import LadaBertForSequenceClassification
from lada.artifact.codec import CHECKSUM, HEADER, checksum
from lada.errors import LadaError

pytestmark = pytest.mark.slow

PATIENCE = 60
"""Seconds after which a load counts as one that hangs."""


@pytest.fixture(autouse=True)
def no_hanging() -> Iterator[None]:
    def hangs(*_: Any) -> None:
        pytest.fail("a load does not end")  # no Exception: nothing on the way may catch it

    before = signal.signal(signal.SIGALRM, hangs)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class Victim:
    """An artifact, and the tries at it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.weights = (folder / "model.safetensors").read_bytes()
        self.config = (folder / "config.json").read_bytes()
        (length,) = struct.unpack_from("<Q", self.weights)
        self.data = 8 + length
        header = json.loads(self.weights[8 : self.data])
        header.pop("__metadata__")
        self.header = header
        self.right = self.load()
        self.rejected = self.same = 0

    def load(self) -> dict[str, Tensor]:
        signal.alarm(PATIENCE)
        model = LadaBertForSequenceClassification.from_pretrained(self.folder)
        signal.alarm(0)
        return model.state_dict()

    def spans(self) -> dict[str, tuple[int, int]]:
        """Where each packed tensor lies in the file."""
        return {
            name: (self.data + e["data_offsets"][0], self.data + e["data_offsets"][1])
            for name, e in self.header.items()
        }

    def try_(self, name: str, content: bytes) -> str | None:
        """Load with one file's content replaced; returns the error, None if it is the same."""
        (self.folder / name).write_bytes(content)
        try:
            found = self.load()
        except LadaError as error:
            self.rejected += 1
            line = str(error)
            assert "\n" not in line
            return line
        finally:
            (self.folder / "model.safetensors").write_bytes(self.weights)
            (self.folder / "config.json").write_bytes(self.config)
        assert found.keys() == self.right.keys()
        assert all(torch.equal(value, found[key]) for key, value in self.right.items())
        self.same += 1
        return None


@pytest.fixture
def victim(folder: Path) -> Victim:
    return Victim(folder)


def flipped(content: bytes, at: int, draw: random.Random) -> bytes:
    out = bytearray(content)
    out[at] ^= draw.randrange(1, 256)
    return bytes(out)


def test_random_bytes_in_every_region(victim: Victim) -> None:
    """The length, the JSON header, each tensor's header, each tensor's streams."""
    draw = random.Random(1)
    regions = [(0, 8)] * 2 + [(8, victim.data)] * 20
    for start, end in victim.spans().values():
        regions += [(start, start + HEADER.size), (start + HEADER.size, end)]
    tries = 0
    for start, end in regions:
        for _ in range(5):
            line = victim.try_(
                "model.safetensors", flipped(victim.weights, draw.randrange(start, end), draw)
            )
            # The file's own header may have spaces in it, of which one more or less says nothing.
            assert line is not None or end <= victim.data
            tries += 1
    assert tries >= 450
    assert victim.rejected >= 0.99 * tries


def test_every_field_of_every_header(victim: Victim) -> None:
    """Fields changed with the checksum made right for it: what is rejected is what they say."""
    tries = 0
    for name, (start, end) in victim.spans().items():
        blob = victim.weights[start:end]
        for at in range(CHECKSUM, HEADER.size):
            for value in (0, 255) if at % 8 else (0, 255, blob[at] ^ 1):
                if blob[at] == value:
                    continue
                changed = bytearray(blob)
                changed[at] = value
                made = checksum(name, bytes(changed[CHECKSUM:])) + bytes(changed[CHECKSUM:])
                content = victim.weights[:start] + made + victim.weights[end:]
                if 12 <= at < 14 and blob[9] == 2:
                    continue  # the exponent of the scales: any is right, with the right checksum
                line = victim.try_("model.safetensors", content)
                assert line is not None
                assert name in line
                tries += 1
        if tries > 1000:
            break
    assert tries > 1000


def test_truncations_and_additions_in_every_region(victim: Victim) -> None:
    ends = [0, 1, 7, 8, 9, victim.data - 1, victim.data, len(victim.weights) - 1]
    for start, end in victim.spans().values():
        ends += [start + 1, start + HEADER.size, (start + end) // 2]
    for end in ends:
        assert victim.try_("model.safetensors", victim.weights[:end]) is not None
        inserted = victim.weights[:end] + b"\0" + victim.weights[end:]
        assert victim.try_("model.safetensors", inserted) is not None
    for end in (0, 1, len(victim.config) // 2, len(victim.config) - 3):
        assert victim.try_("config.json", victim.config[:end]) is not None


def test_random_bytes_in_the_config(victim: Victim) -> None:
    draw = random.Random(2)
    for _ in range(300):
        victim.try_("config.json", flipped(victim.config, draw.randrange(len(victim.config)), draw))
    # What is not rejected stands in a field that says nothing of the model, or is a space.
    assert victim.rejected > 200


def edited(victim: Victim, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file with another JSON header, its length right."""
    header = json.loads(victim.weights[8 : victim.data])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + victim.weights[victim.data :]


def test_hostile_file_headers(victim: Victim) -> None:
    names = list(victim.header)
    a, b = names[0], names[1]

    def swap(h: dict[str, Any]) -> None:
        h[a], h[b] = h[b], h[a]

    def about(**values: Any) -> Callable[[dict[str, Any]], None]:
        return lambda h: h["__metadata__"].update(lada=json.dumps(values))

    stored = json.loads(victim.weights[8 : victim.data])["__metadata__"]["lada"]
    changes: list[Callable[[dict[str, Any]], None]] = [
        swap,
        lambda h: h.pop("__metadata__"),
        lambda h: h["__metadata__"].pop("lada"),
        lambda h: h["__metadata__"].update(lada="["),
        lambda h: h["__metadata__"].update(lada="[1]"),
        about(version="4.0"),
        about(version="1.0", config="0" * 64),
        about(version=None),
        about(**json.loads(stored), more="x" * 1000),
        lambda h: h.pop(a),
        lambda h: h.update(more=h[a]),
        lambda h: h["__metadata__"].update(lada="[" * 100_000),
        lambda h: h[a].update(dtype="I8"),
        lambda h: h[a].update(dtype="F8_E4M3"),
        lambda h: h[a].update(dtype="BOOL"),
        lambda h: h[a].update(dtype="F32"),
        lambda h: h[a].update(shape=[-1]),
        lambda h: h[a].update(shape=[2**62]),
        lambda h: h[a].update(data_offsets=[-8, 8]),
        lambda h: h[a].update(data_offsets=[0, 2**62]),
        lambda h: h[a].update(data_offsets=h[b]["data_offsets"]),
        lambda h: h[a].update(data_offsets=h[a]["data_offsets"][::-1]),
        lambda h: h[a].update(shape=[1, h[a]["shape"][0]]),
    ]
    for i, change in enumerate(changes):
        assert victim.try_("model.safetensors", edited(victim, change)) is not None, i
    for length in (2**63, 2**64 - 1, 2**40, len(victim.weights)):
        content = struct.pack("<Q", length) + victim.weights[8:]
        assert victim.try_("model.safetensors", content) is not None
    deep = b"[" * 100_000
    content = struct.pack("<Q", len(deep)) + deep
    assert victim.try_("model.safetensors", content) is not None
    assert victim.try_("config.json", deep) is not None


def test_little_memory_is_enough_to_reject(folder: Path) -> None:
    """What asks for a lot is rejected by a process that may not have a lot."""
    code = """
import json, resource, sys
from pathlib import Path
import lada
from transformers import AutoConfig
folder = Path(sys.argv[1])
file = folder / "config.json"
whole = json.loads(file.read_text())
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
for change in (
    {"num_labels": 10**9},
    {"num_labels": 10**9, "id2label": None},
    {"hidden_size": 2**20, "num_attention_heads": 1},
    {"vocab_size": 2**40},
    {"num_hidden_layers": 10**7},
    {"max_position_embeddings": 2**40},
    {"intermediate_size": 2**40},
):
    file.write_text(json.dumps(whole | change))
    for load in (lada.load, AutoConfig.from_pretrained):
        try:
            load(folder)
        except lada.LadaError:
            pass
print("rejected")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "rejected", done.stderr[-3000:]
