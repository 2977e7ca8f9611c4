"""Your own LightningModule and a callback that compresses its model while it trains.

Run: ``python examples/lightning_trainer.py [FOLDER]``. It takes seconds.
"""

import sys
from pathlib import Path

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from toy import make_batches, make_classifier, save_and_compare
from transformers import PreTrainedModel

import lada

Batch = dict[str, Tensor]
STEPS = 60


class Classification(L.LightningModule):
    """Plain classification; it knows nothing of compression."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.model = model

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The cross-entropy of the labels."""
        loss: Tensor = self.model(**batch).loss
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW of torch."""
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def main(folder: Path) -> None:
    """Compress, save, load again."""
    classifier, tokenizer = make_classifier()
    compression = lada.prepare(classifier, target=4, steps=STEPS)
    trainer = L.Trainer(
        max_steps=STEPS,
        callbacks=[lada.HybridCompressionCallback(compression)],
        accelerator="cpu",
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    examples = make_batches(tokenizer, STEPS)
    # torch declares a Dataset, and takes a list.
    batches: DataLoader[Batch] = DataLoader(examples, batch_size=None)  # type: ignore[arg-type]
    trainer.fit(Classification(compression.model), batches)
    save_and_compare(compression, tokenizer, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "compressed"))
