"""The machine of a run: what each setting means on each kind of machine."""

from dataclasses import FrozenInstanceError

import pytest
import torch
from helpers import ROOT
from hydra import compose, initialize_config_dir

from lada.config import Config, check
from lada.run.length import Length
from lada.run.machine import Machine, loop_of, processes_of, settle


def config_of(*overrides: str) -> Config:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return check(compose("train", overrides=["model=tiny", *overrides]))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with a GPU and a CPU that both have bf16, until a test takes something away."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "A GPU")
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: True)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    return monkeypatch


CASES = [
    # accelerator, precision, GPU here, GPU has bf16, CPU has bf16: accelerator, precision
    ("auto", "auto", True, True, False, "gpu", "bf16"),
    ("auto", "auto", True, False, True, "gpu", "fp32"),
    ("auto", "auto", False, False, True, "cpu", "bf16"),
    ("auto", "auto", False, False, False, "cpu", "fp32"),
    ("cpu", "auto", True, True, False, "cpu", "fp32"),
    ("cpu", "auto", True, False, True, "cpu", "bf16"),
    ("cpu", "bf16", False, False, False, "cpu", "bf16"),
    ("cpu", "fp32", False, False, True, "cpu", "fp32"),
    ("gpu", "auto", True, True, False, "gpu", "bf16"),
    ("gpu", "auto", True, False, True, "gpu", "fp32"),
    ("gpu", "fp32", True, True, True, "gpu", "fp32"),
    ("auto", "bf16", True, False, False, "gpu", "bf16"),
]


@pytest.mark.parametrize(
    ("accelerator", "precision", "gpu", "gpu_bf16", "cpu_bf16", "on", "by"), CASES
)
def test_what_the_settings_mean(
    fake: pytest.MonkeyPatch,
    accelerator: str,
    precision: str,
    gpu: bool,
    gpu_bf16: bool,
    cpu_bf16: bool,
    on: str,
    by: str,
) -> None:
    fake.setattr("torch.cuda.is_available", lambda: gpu)
    fake.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: gpu_bf16)
    fake.setattr("torch.cpu._is_avx512_bf16_supported", lambda: cpu_bf16)
    given = (f"trainer.accelerator={accelerator}", f"trainer.precision={precision}")
    config = config_of(*given, "trainer.skipped_steps=7")
    machine = settle(config)
    assert machine == Machine(
        accelerator=on,
        precision=by,
        threads=torch.get_num_threads(),
        workers={"gpu": 1, "cpu": 0}[on],
        skips={"bf16": 7, "fp32": 0}[by],
        name={"gpu": "A GPU", "cpu": "cpu"}[on],
    )
    assert machine.device == {"gpu": "cuda", "cpu": "cpu"}[on]
    assert processes_of(config.trainer).gpu == (on == "gpu")
    loop = loop_of(config, machine, Length(12, 5, 1.5))
    assert (loop.steps, loop.interval, loop.accelerator, loop.precision) == (12, 5, on, by)


@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
@pytest.mark.parametrize("workers", [0, 3])
def test_workers_that_are_given_stay(
    fake: pytest.MonkeyPatch, accelerator: str, workers: int
) -> None:
    given = (f"trainer.accelerator={accelerator}", f"data.workers={workers}")
    assert settle(config_of(*given)).workers == workers


def test_it_is_frozen_and_says_what_records_say() -> None:
    machine = Machine("cpu", "fp32", 3, 0, 0, "cpu")
    assert (machine.about()["device"], machine.about()["threads"]) == ("cpu", 3)
    with pytest.raises(FrozenInstanceError):
        machine.threads = 4  # type: ignore[misc]
