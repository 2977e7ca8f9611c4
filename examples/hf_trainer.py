"""The Trainer of Hugging Face, with a callback that compresses its model while it trains.

Run: ``python examples/hf_trainer.py [FOLDER]``; the Trainer needs ``pip install accelerate``. It
takes seconds.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from toy import make_classifier, make_examples, save_and_compare
from transformers import Trainer, TrainingArguments

import lada

STEPS = 60


def main(folder: Path) -> None:
    """Compress, save, load again."""
    classifier, tokenizer = make_classifier()
    compression = lada.prepare(classifier, target=4, steps=STEPS)

    class Distilling(Trainer):
        """Trains by the loss of the method; without it, by that of the labels."""

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            return compression.distillation_loss(inputs, teacher=classifier, model=model)

    with tempfile.TemporaryDirectory() as checkpoints:
        trainer = Distilling(
            compression.model,
            TrainingArguments(
                checkpoints,
                max_steps=STEPS,
                per_device_train_batch_size=16,
                learning_rate=1e-3,
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=make_examples(tokenizer, 320),
            callbacks=[lada.CompressionTrainerCallback(compression)],
        )
        trainer.train()
    save_and_compare(compression, tokenizer, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "compressed"))
