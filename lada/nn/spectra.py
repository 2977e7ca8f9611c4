"""The spectra of a model's matrices (`lada.ops.allocate`), and their file."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from lada.ops.allocate import Spectra, spectrum
from lada.ops.budget import Matrix
from lada.ops.factorizers import FACTORIZERS
from lada.ops.statistics import Statistics


@torch.no_grad()
def spectra_of(
    model: PreTrainedModel,
    matrices: Iterable[Matrix],
    factorizer: str,
    statistics: Statistics | None = None,
) -> dict[str, Tensor]:
    """The spectra of matrices of a model by their names, on the CPU.

    Args:
        model: dense.
        matrices: those that are compressed, see `lada.nn.surgery.inventory`.
        factorizer: of `lada.ops.factorizers.FACTORIZERS`; spectra are of the errors that it makes
            least.
        statistics: what the layers see, for factorizers that use it.
    """
    seen = statistics or Statistics()
    out = {}
    for matrix in matrices:
        weight = model.get_submodule(matrix.name).weight
        assert isinstance(weight, Tensor)
        weights = FACTORIZERS[factorizer](seen.of(matrix.name, weight.device))
        out[matrix.name] = spectrum(weight, weights).cpu()
    return out


def write_spectra(spectra: Spectra, about: Mapping[str, str], file: Path) -> None:
    """Write spectra to a safetensors file, with what they are of."""
    save_file(dict(spectra), file, dict(about))


def read_spectra(about: Mapping[str, str], file: Path) -> dict[str, Tensor] | None:
    """Read what `write_spectra` wrote; None where it is of something else.

    Raises:
        OSError, SafetensorError: the file is missing, or not such a file.
    """
    with safe_open(file, framework="pt") as opened:
        if opened.metadata() != dict(about):
            return None
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
