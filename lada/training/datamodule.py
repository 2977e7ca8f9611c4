"""Batches for Lightning: bucketed by length, in an order that depends on (seed, step) alone."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lada.data.batches import BucketBatches, collate, part_of, totals
from lada.data.outputs import TeacherOutputs
from lada.data.split import Split
from lada.data.tokens import Encoded


class _Parts(Dataset[dict[str, Tensor]]):
    """The parts of all batches of a training, made on demand.

    The batches of all optimizer steps, those of `BucketBatches` epoch after epoch, are each cut
    into ``parts``: one per process and accumulated batch. So the examples of a step do not depend
    on how many processes share it.

    In addition to the tensors of `collate`, a part has ``totals`` (3,): examples, tokens and pairs
    of tokens of its whole batch; ``targets``, how many outputs of that are learned (see
    `lada.data.tokens.Encoded.targets`); and ``weight``, a factor of its loss: the number of parts,
    since processes and accumulated batches are averaged, or 0 for a part without examples, which
    borrows one so that all processes do the same work.
    """

    def __init__(self, examples: Encoded, order: BucketBatches, parts: int, pad_id: int):
        self._examples = examples
        self._lengths = examples.lengths
        self._targets = examples.targets
        self._order = order
        self._parts = parts
        self._pad_id = pad_id
        self._epoch = -1
        self._batches: list[NDArray[np.int64]] = []

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        step, part = divmod(number, self._parts)
        epoch, place = divmod(step, len(self._order))
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._order.epoch(epoch)
        whole = self._batches[place]
        mine = part_of(whole, part, self._parts)
        batch = collate(self._examples, mine if len(mine) else whole[:1], self._pad_id)
        batch["totals"] = totals(self._lengths[whole]).float()
        batch["targets"] = torch.tensor(float(self._targets[whole].sum()))
        batch["weight"] = torch.tensor(float(self._parts if len(mine) else 0))
        return batch


class _Validation(Dataset[dict[str, Tensor]]):
    """Batches of the validation split, longest examples first."""

    def __init__(self, examples: Encoded, batches: list[NDArray[np.int64]], pad_id: int):
        self._examples = examples
        self._batches = batches
        self._pad_id = pad_id

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return collate(self._examples, self._batches[index], self._pad_id)


class _Mine(Sampler[int]):
    """Numbers of the parts of one process from optimizer step ``start`` to ``stop``.

    Its length counts from step 0: Lightning counts the batches of a resumed training from where it
    stopped, and ends when the count reaches the length of the loader.
    """

    def __init__(self, start: int, stop: int, accumulate: int, rank: int, size: int):
        self._start = start * accumulate
        self._stop = stop * accumulate
        self._rank = rank
        self._size = size

    def __iter__(self) -> Iterator[int]:
        return (i * self._size + self._rank for i in range(self._start, self._stop))

    def __len__(self) -> int:
        return self._stop


def _apart_from_signals(worker: int) -> None:
    # Ctrl-C and schedulers signal the whole process group, and the parent needs batches to finish
    # its step. SIGTERM keeps its effect: the parent ends its workers by it.
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class ExamplesModule(L.LightningDataModule):
    """Training and validation examples. To Lightning, a whole training is one epoch.

    So a resumed training starts with the very batch that it stopped before.

    Args:
        batch_size: examples per optimizer step, over all processes and accumulated batches.
        workers: processes that make batches; 0 makes them in this one.
        teacher: the stored outputs of the teacher on the training examples, if any.
    """

    def __init__(
        self,
        train: Encoded,
        validation: Encoded,
        validation_split: Split,
        *,
        batch_size: int,
        pad_id: int,
        seed: int,
        workers: int = 0,
        teacher: TeacherOutputs | None = None,
    ):
        super().__init__()
        self._train = train
        self.validation = validation
        self.validation_split = validation_split
        self._pad_id = pad_id
        self._workers = workers
        self._teacher = teacher
        self._order = BucketBatches(train.lengths, batch_size, seed, queries=train.groups)
        validation_batches = BucketBatches(validation.lengths, 128, seed, shuffle=False)
        self._validation_order = validation_batches.epoch(0)

    def train_dataloader(self) -> DataLoader[Any]:
        """Parts of this process from the current step of the trainer to its last."""
        t = self.trainer
        assert t is not None
        accumulate = t.accumulate_grad_batches
        parts = accumulate * t.world_size
        return DataLoader(
            _Parts(self._train, self._order, parts, self._pad_id),
            batch_size=None,
            sampler=_Mine(t.global_step, t.max_steps, accumulate, t.global_rank, t.world_size),
            num_workers=self._workers,
            worker_init_fn=_apart_from_signals,
            pin_memory=t.strategy.root_device.type == "cuda",
        )

    def on_before_batch_transfer(
        self, batch: dict[str, Tensor], dataloader_idx: int
    ) -> dict[str, Tensor]:
        """Add the stored outputs of the teacher to a train batch (see `TeacherOutputs.batch`)."""
        # Not in the workers: hidden states are too large to send between processes.
        t = self.trainer
        if self._teacher is None or t is None or not t.training:
            return batch
        return batch | self._teacher.batch(batch["examples"].numpy())

    def val_dataloader(self) -> DataLoader[Any]:
        """The share of this process of each validation batch; each example is in one share."""
        t = self.trainer
        assert t is not None
        batches = [batch[t.global_rank :: t.world_size] for batch in self._validation_order]
        return DataLoader(
            _Validation(self.validation, [batch for batch in batches if len(batch)], self._pad_id),
            batch_size=None,
            num_workers=self._workers,
            worker_init_fn=_apart_from_signals,
            pin_memory=t.strategy.root_device.type == "cuda",
        )
