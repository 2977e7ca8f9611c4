"""Encoded rows as batches for Lightning: bucketed by length, in an order of (seed, epoch) alone."""

from typing import Any

import lightning as L
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lada.data.batches import BucketBatches, collate
from lada.data.tokens import Encoded


class _Batches(Dataset[dict[str, Tensor]]):
    """Whole batches, made when asked for."""

    def __init__(self, rows: Encoded, batches: list[NDArray[np.int64]], pad_id: int):
        self._rows = rows
        self._batches = batches
        self._pad_id = pad_id

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return collate(self._rows, self._batches[index], self._pad_id)


class RowsModule(L.LightningDataModule):
    """Train and `select` rows. The trainer must reload the train loader each epoch.

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

    def __len__(self) -> int:
        """Batches in an epoch of training."""
        return len(self._order)

    def _loader(self, rows: Encoded, batches: list[NDArray[np.int64]]) -> DataLoader[Any]:
        return DataLoader(
            _Batches(rows, batches, self._pad_id), batch_size=None, num_workers=self._workers
        )

    def train_dataloader(self) -> DataLoader[Any]:
        epoch = self.trainer.current_epoch if self.trainer else 0
        return self._loader(self._train, self._order.epoch(epoch))

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(self._select, self._select_order.epoch(0))
