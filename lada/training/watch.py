"""What a dashboard is told of a student while it is compressed."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from lada.compression import Compression
from lada.nn.compressed import compressed_layers
from lada.report.watched import MatrixState, of_round
from lada.training.dashboards import Dashboard


class Watch(Callback):
    """Logs the size of the student, and of each of its matrices, after each round.

    It stands after `HybridCompressionCallback`, which does the rounds.
    """

    def __init__(self, compression: Compression, dashboard: Dashboard):
        self._compression = compression
        self._dashboard = dashboard
        self._told = -1

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._told = self._compression.round  # of a resumed training

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._compression.round == self._told:
            return
        self._told = self._compression.round
        scalars, entries = round_of(self._compression)
        self._dashboard.log_metrics(scalars, step=trainer.global_step)
        self._dashboard.log_entries(entries, step=trainer.global_step)


def round_of(compression: Compression) -> tuple[dict[str, float], dict[str, Any]]:
    """The figures and entries of the last round, as counted in the model.

    See `lada.report.watched.of_round`.
    """
    states = matrices_of(compression)
    round_ = compression.plan.rounds[compression.round]
    planned = sum(share.kept for share in round_.shares)
    names = {share.name for share in round_.shares}
    counted = sum(state.nonzeros for state in states if state.name in names)
    nonzeros = round_.nonzeros - planned + counted
    return of_round(
        compression.round + 1,
        round_.ratio,
        compression.plan.total / nonzeros,
        nonzeros,
        states,
    )


def matrices_of(compression: Compression) -> list[MatrixState]:
    """All compressed matrices, in the model's order."""
    found = []
    for name, layer in compressed_layers(compression.model).items():
        parts = [layer.active(part) for part in layer.masks]
        rank = layer.form().get("rank")
        m = parts[0].shape[0]
        n = parts[0].shape[1] if rank is None else parts[1].shape[0]
        nonzeros = sum(int(layer.active(mask).sum()) for mask in layer.masks.values())
        found.append(
            MatrixState(
                name,
                layer.kind,
                (m, n),
                rank,
                nonzeros,
                sum(part.numel() for part in parts),
                layer.bits or "fp32",
            )
        )
    return found
