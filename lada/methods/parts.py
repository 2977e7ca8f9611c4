"""The parts of a compression that are chosen apart: how matrices are factorized and pruned."""

from dataclasses import dataclass
from typing import Any

from lada.errors import LadaError
from lada.methods.settings import NEED_EXAMPLES
from lada.ops.statistics import Statistics


@dataclass(frozen=True)
class Parts:
    """How matrices are factorized and pruned.

    Attributes:
        factorizer: of `lada.ops.factorizers.FACTORIZERS`.
        score: of `lada.ops.scores.SCORES` or `lada.ops.memory.MEMORIES`.
        statistics: what the layers of the teacher see; None: not known.
    """

    factorizer: str = "svd"
    score: str = "magnitude"
    statistics: Statistics | None = None

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
