"""A training loop of your own that compresses a classifier while it trains.

Run: ``python examples/own_loop.py [FOLDER]``. It takes seconds.
"""

import sys
from pathlib import Path

import torch
from toy import make_batches, make_classifier, save_and_compare

import lada

STEPS = 60


def main(folder: Path) -> None:
    """Compress, save, load again."""
    classifier, tokenizer = make_classifier()
    compression = lada.prepare(classifier, target=4, steps=STEPS)
    optimizer = torch.optim.AdamW(compression.model.parameters(), lr=1e-3)
    for step, batch in enumerate(make_batches(tokenizer, STEPS)):
        compression.before_step(step, optimizer)  # does a round where one is due
        loss = compression.distillation_loss(batch, teacher=classifier)
        loss.backward()
        compression.after_backward()
        torch.nn.utils.clip_grad_norm_(compression.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    save_and_compare(compression, tokenizer, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "compressed"))
