"""The parts of a compression that are chosen apart: how matrices are factorized and pruned, and
what stays whole.
"""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from lada.errors import LadaError
from lada.methods.settings import NEED_EXAMPLES
from lada.nn.spectra import spectra_of
from lada.nn.surgery import inventory
from lada.nn.trim import trimmed_inventory
from lada.ops.allocate import Spectra
from lada.ops.budget import Inventory
from lada.ops.statistics import Statistics


@dataclass(frozen=True)
class Parts:
    """How matrices are factorized and pruned, and what stays whole.

    Attributes:
        factorizer: of `lada.ops.factorizers.FACTORIZERS`.
        score: of `lada.ops.scores.SCORES` or `lada.ops.memory.MEMORIES`.
        statistics: what the layers of the teacher see; None: not known.
        length: tokens that the position embeddings are cut to, where the pooler is compressed, too
            (`lada.nn.trim`); None: both stay whole, as in the paper.
        tokens: rows of the student's word embeddings, which it is built with; None: as many as the
            teacher has.
        spectra: of the teacher's matrices, where the ranks are by them (`lada.ops.allocate`); None:
            they are not, or not known yet.
    """

    factorizer: str = "svd"
    score: str = "magnitude"
    statistics: Statistics | None = None
    length: int | None = None
    tokens: int | None = None
    spectra: Spectra | None = None

    def count(self, dense: PreTrainedModel) -> Inventory:
        """What of a dense model is compressed, and what stays whole.

        Raises:
            LadaError: it cannot be compressed.
        """
        counted = inventory(dense) if self.length is None else trimmed_inventory(dense, self.length)
        return counted if self.tokens is None else counted.with_tokens(self.tokens)

    def spectra_of(self, dense: PreTrainedModel) -> Spectra:
        """The spectra of what of a dense model is compressed, of the factorizer's errors."""
        matrices = self.count(dense).matrices
        return spectra_of(dense, matrices, self.factorizer, self.checked().statistics)

    @property
    def named(self) -> dict[str, Any]:
        """The arguments of `lada.nn.rounds.compress_`."""
        return {
            "factorizer": self.factorizer,
            "score": self.score,
            "statistics": self.statistics or Statistics(),
        }

    def checked(self) -> "Parts":
        """These parts, with the statistics that they use.

        Raises:
            LadaError: there are none.
        """
        for key in ("factorizer", "score"):
            value = getattr(self, key)
            if value in NEED_EXAMPLES and self.statistics is None:
                raise LadaError(
                    f"method.{key}={value}: looks at examples, and there are none. Give "
                    f"lada.prepare(batches=...), or another method.{key}."
                )
        return self


PLAIN = Parts()
"""Those of the paper: SVD, and pruning by magnitude."""
