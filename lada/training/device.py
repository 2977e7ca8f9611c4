"""What the machine can do."""

import torch

from lada.config import TrainerConfig


def has_bf16(accelerator: str) -> bool:
    """Whether bf16 arithmetic is native there (on a CPU without it, it is slower than fp32)."""
    if accelerator == "gpu":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    # oneDNN also says yes where it emulates bf16; these two are the instructions themselves.
    return bool(
        torch.backends.mkldnn.is_available()
        and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )


def pick_accelerator(wanted: str) -> str:
    """Which of gpu and cpu ``auto`` means here; anything else is returned as it is."""
    if wanted == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    return wanted


def pick_precision(wanted: str, accelerator: str) -> str:
    """Which of bf16 and fp32 ``auto`` means there; anything else is returned as it is."""
    if wanted == "auto":
        return "bf16" if has_bf16(accelerator) else "fp32"
    return wanted


def pick_workers(wanted: int | None, accelerator: str) -> int:
    """Processes that make batches where none are given: a GPU should not wait for its next one."""
    if wanted is None:
        return 1 if accelerator == "gpu" else 0
    return wanted


def allowed_spikes(trainer: TrainerConfig) -> int:
    """Gradients that may be no number: bf16 overflows now and then, fp32 has no excuse."""
    bf16 = pick_precision(trainer.precision, pick_accelerator(trainer.accelerator)) == "bf16"
    return trainer.spikes if bf16 else 0
