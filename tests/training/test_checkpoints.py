"""Which check's weights are kept as the best."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lada.training.callbacks import HybridCompressionCallback
from lada.training.checkpoints import Checkpoints


class _Unwritten(Checkpoints):
    """Names the files that would be written."""

    def _write(self, trainer: Any, kind: str, weights_only: bool) -> str:
        return f"{kind}-{trainer.global_step}"

    def _save(self, trainer: Any) -> None:
        pass


@pytest.mark.parametrize("student", [False, True])
@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.5, 0.7, 0.7], 3),  # of equal ones the later
        ([0.7, 0.7, 0.7], 3),
        ([0.7, 0.5, 0.7, 0.6], 3),
        ([0.7, 0.6, 0.5], 1),
        ([0.0], 1),
        ([0.0, 0.0], 2),
    ],
)
def test_the_best_is_the_last_of_the_highest(
    tmp_path: Path, scores: list[float], best: int, student: bool
) -> None:
    """Of a teacher, which has no rounds; and of a student within its final round."""
    kept = _Unwritten(tmp_path, {}, minutes=1, keep=1)
    rounds: list[tuple[float, bool]] = [(1.0, False)] if student else []
    for step, (score, final) in enumerate([*rounds, *((s, True) for s in scores)]):
        stub: Any = SimpleNamespace(finished=final)
        trainer: Any = SimpleNamespace(
            callback_metrics={"validation/accuracy": score},
            global_step=step,
            world_size=1,
            callbacks=[HybridCompressionCallback(stub)] if student else [],
        )
        module: Any = SimpleNamespace(deciding="validation/accuracy")
        kept.on_validation_end(trainer, module)
    assert kept.best_name == f"best-{best - 1 + len(rounds)}"
    assert kept.best_score == max(scores)
