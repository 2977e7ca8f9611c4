"""Encoded rows as batches for Lightning: bucketed by length, in an order of (seed, epoch) alone."""

from collections.abc import Iterator
from typing import Any

import lightning as L
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lada.data.batches import BucketBatches, collate
from lada.data.tokens import Encoded


class _Batches(Dataset[dict[str, Tensor]]):
    """Batch number i of a whole training, made when asked for.

    The order is that of `BucketBatches`, epoch after epoch, as one long row of batches.
    """

    def __init__(self, rows: Encoded, order: BucketBatches, total: int, pad_id: int):
        self._rows = rows
        self._order = order
        self._total = total
        self._pad_id = pad_id
        self._epoch = -1
        self._batches: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        epoch, place = divmod(index, len(self._order))
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._order.epoch(epoch)
        return collate(self._rows, self._batches[place], self._pad_id)


class _From(Sampler[int]):
    """Numbers from ``start`` to ``total``; says ``total`` as its length.

    Lightning counts a resumed training's batches from where it stopped, and ends when it has
    counted as many as the loader is long.
    """

    def __init__(self, start: int, total: int):
        self._start = start
        self._total = total

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._start, self._total))

    def __len__(self) -> int:
        return self._total


class RowsModule(L.LightningDataModule):
    """Train and `select` rows. For Lightning, a whole training is one epoch of ``total`` batches.

    So a resumed training goes on with the very batch that it stopped before.

    Args:
        batch_size: rows a batch.
        workers: processes that make batches; 0 makes them in this one.
    """

    def __init__(
        self,
        train: Encoded,
        select: Encoded,
        *,
        batch_size: int,
        pad_id: int,
        seed: int,
        workers: int = 0,
    ):
        super().__init__()
        self._train = train
        self._select = select
        self._pad_id = pad_id
        self._workers = workers
        self._order = BucketBatches(train.lengths, batch_size, seed)
        self._select_order = BucketBatches(select.lengths, 128, seed, shuffle=False)

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches from the trainer's present step to its last."""
        assert self.trainer is not None
        accumulate = self.trainer.accumulate_grad_batches
        total = self.trainer.max_steps * accumulate
        return DataLoader(
            _Batches(self._train, self._order, total, self._pad_id),
            batch_size=None,
            sampler=_From(self.trainer.global_step * accumulate, total),
            num_workers=self._workers,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """All `select` rows, longest first."""
        order = self._select_order
        return DataLoader(
            _Batches(self._select, order, len(order), self._pad_id),
            batch_size=None,
            num_workers=self._workers,
        )
