"""Compression in rounds in Lightning, and its progress display."""

import logging
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme

from lada.compression import Compression
from lada.errors import LadaError
from lada.training.modules import REDRAW_EVERY, StudentModule

if TYPE_CHECKING:
    from lada.training.pace import Paced

log = logging.getLogger("lada")


class HybridCompressionCallback(Callback):
    """Compresses the student of any LightningModule in rounds.

    The module trains ``compression.model`` (which is one of its submodules) by whatever loss it
    has, with automatic or manual optimization. Steps are counted as the Trainer does
    (``global_step``). State: that of the compression.

    Example:
        >>> import lada, lightning, torch
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> classifier = BertForSequenceClassification(BertConfig(
        ...     vocab_size=2000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        ...     intermediate_size=64, max_position_embeddings=32))
        >>> class Classification(lightning.LightningModule):
        ...     def __init__(self, model):
        ...         super().__init__()
        ...         self.model = model
        ...     def training_step(self, batch, index):
        ...         return self.model(**batch).loss
        ...     def configure_optimizers(self):
        ...         return torch.optim.AdamW(self.parameters(), lr=1e-3)
        >>> compression = lada.prepare(classifier, target=4, steps=16)
        >>> trainer = lightning.Trainer(
        ...     max_steps=16, callbacks=[lada.HybridCompressionCallback(compression)],
        ...     accelerator="cpu", logger=False, enable_checkpointing=False,
        ...     enable_progress_bar=False, enable_model_summary=False)
        >>> ids = torch.randint(2000, (12,))
        >>> example = {"input_ids": ids, "attention_mask": ids * 0 + 1, "labels": torch.tensor(1)}
        >>> batches = torch.utils.data.DataLoader([example] * 64, batch_size=4)
        >>> trainer.fit(Classification(compression.model), batches)
        >>> compression.finished
        True
    """

    def __init__(self, compression: Compression):
        self.compression = compression

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if not any(module is self.compression.model for module in pl_module.modules()):
            raise LadaError(
                f"HybridCompressionCallback: {type(pl_module).__name__} does not hold the student. "
                "Make compression.model one of its submodules."
            )

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        c = self.compression
        for index in c.before_step(trainer.global_step, *trainer.optimizers):
            if trainer.is_global_zero:
                log.info(
                    "round %d/%d before step %d: %.2fx smaller",
                    index + 1,
                    len(c.at),
                    trainer.global_step,
                    c.plan.rounds[index].ratio,
                )

    def on_before_backward(
        self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Any
    ) -> None:
        if isinstance(pl_module, StudentModule) and pl_module.predictions is not None:
            # As Lightning does with the loss.
            self.compression.separate(pl_module.predictions / trainer.accumulate_grad_batches)
            pl_module.predictions = None

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any
    ) -> None:
        self.compression.after_backward()

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("ratio", self.compression.ratio)

    def state_dict(self) -> dict[str, Any]:
        return self.compression.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.compression.load_state_dict(state_dict)


def compression_of(trainer: L.Trainer) -> Compression | None:
    """The compression of a training; None if it compresses nothing."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning does not declare it
    found = (c for c in callbacks if isinstance(c, HybridCompressionCallback))
    callback = next(found, None)
    return None if callback is None else callback.compression


class Bar(RichProgressBar):
    """A progress bar with phase, round, ratio, score on the validation split, and time left.

    Args:
        paced: tells the time that is left of the whole run.
    """

    def __init__(self, phase: str, paced: "Paced | None" = None):
        super().__init__(
            refresh_rate=REDRAW_EVERY, leave=False, theme=RichProgressBarTheme(metrics_format=".3f")
        )
        self._phase = phase
        self._paced = paced

    def _get_train_description(self, current_epoch: int) -> str:
        return self._phase

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        module: Any = pl_module  # of teacher or student
        compression = compression_of(trainer)
        if compression is not None:
            shown["round"] = f"{compression.round + 1}/{len(compression.at)}"
            shown["ratio"] = f"{compression.ratio:.2f}x"
        for name, metric in (("validation", module.deciding), ("loss", "train/loss")):
            if metric in trainer.callback_metrics:
                shown[name] = float(trainer.callback_metrics[metric])
        if self._paced is not None and self._paced.text:
            shown["left"] = self._paced.text
        return shown


class Lines(Callback):
    """One line per validation check, for logs and pipes."""

    def __init__(self, phase: str):
        self._phase = phase

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        module: Any = pl_module  # of teacher or student
        compression = compression_of(trainer)
        ratio = "" if compression is None else f", {compression.ratio:.2f}x"
        log.info(
            "%s: step %d of %d%s, validation %s %.4f",
            self._phase,
            trainer.global_step,
            trainer.max_steps,
            ratio,
            module.head.chosen_by.title,
            float(trainer.callback_metrics[module.deciding]),
        )
