"""Batches of examples of similar length, and their padded tensors."""

import numpy as np
import torch
from numpy.typing import NDArray

from lada.data.tokens import Encoded
from lada.errors import LadaError

NO_LABEL = -100
"""In place of the label of an example or token that has none."""
NO_TAG = -1
"""In place of the tag of a word that has none: it learns from the teacher alone."""


class BucketBatches:
    """The examples of each batch of an epoch; those of similar length are together to save padding.

    Every example occurs exactly once per epoch, and at most one batch is short.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        batch_size: int,
        seed: int,
        window: int = 16,
        shuffle: bool = True,
        queries: NDArray[np.int64] | None = None,
    ) -> None:
        """Set up the batches of examples with these lengths.

        Args:
            lengths: tokens of each example, (examples,).
            batch_size: examples per batch.
            seed: of the order; 0 or more.
            window: number of batches within which examples are sorted by length; larger windows
                pad less and mix less.
            shuffle: False for the same order in every epoch, longest examples first.
            queries: the query of each example, (examples,); those of a query are then next to one
                another, so that most of them are in the same batch, and lengths do not matter.

        Raises:
            LadaError: `batch_size` is under 1.
        """
        if batch_size < 1:
            raise LadaError(f"batch_size={batch_size}: a batch needs an example. Set 1 or more.")
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._window = window
        self._shuffle = shuffle
        self._queries = queries

    def __len__(self) -> int:
        """Return the number of batches of an epoch, a last short one included."""
        return -(-len(self._lengths) // self._batch_size)

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the examples' numbers of each batch, a pure function of the seed and the epoch."""
        if not self._shuffle:
            return self._cut(np.argsort(-self._lengths, kind="stable"))
        generator = np.random.Generator(np.random.PCG64([self._seed, epoch]))
        examples = generator.permutation(len(self._lengths))
        if self._queries is not None:
            places = generator.permutation(int(self._queries.max()) + 1)[self._queries]
            examples = examples[np.argsort(places[examples], kind="stable")]
            batches = self._cut(examples)
            return [batches[place] for place in generator.permutation(len(batches))]
        # Windows are whole batches, so only the last window can end in a short one.
        span = self._window * self._batch_size
        batches = []
        for begin in range(0, len(examples), span):
            window = examples[begin : begin + span]
            batches += self._cut(window[np.argsort(self._lengths[window], kind="stable")])
        return [batches[place] for place in generator.permutation(len(batches))]

    def _cut(self, examples: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        size = self._batch_size
        return [examples[begin : begin + size] for begin in range(0, len(examples), size)]


def part_of(examples: NDArray[np.int64], part: int, parts: int) -> NDArray[np.int64]:
    """Return the examples of one of `parts` nearly equal parts of a batch, in order.

    If there are fewer examples than parts, the last parts are empty. (b,) -> (about b / parts,)
    """
    return np.array_split(examples, parts)[part]


def totals(lengths: NDArray[np.int64]) -> torch.Tensor:
    """Return examples, tokens and pairs of tokens of a batch of these lengths, (3,) float64."""
    return torch.tensor([len(lengths), lengths.sum(), np.square(lengths).sum()]).double()


def collate(enc: Encoded, examples: NDArray[np.int64], pad_id: int) -> dict[str, torch.Tensor]:
    """Return the tensors of one batch, padded on the right to its longest example.

    Args:
        enc: tokens of all examples.
        examples: numbers of the examples of the batch, (b,).
        pad_id: token id that fills the padding.

    Returns:
        `input_ids`, `attention_mask` and `token_type_ids`, (b, longest), with 0 in the mask and in
        the types of padding; `examples`, (b,); `labels` as `Encoded` has them, (b, ...), those of
        tokens padded with -100, (b, longest); `groups` (b,), where there are queries; and `given`,
        (b, width) float32, where another model says something of examples. All others int64 but for
        labels that are numbers.
    """
    lengths = (enc.starts[examples + 1] - enc.starts[examples])[:, None]
    places = np.arange(lengths.max())[None, :]
    mask = places < lengths
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = enc.ids[(enc.starts[examples][:, None] + places)[mask]]
    types = mask & (places >= enc.first[examples][:, None])
    if enc.token_labels:
        labels = np.full(mask.shape, NO_LABEL, dtype=np.int64)
        labels[mask] = enc.labels[(enc.starts[examples][:, None] + places)[mask]]
    else:
        labels = enc.labels[examples]
    columns = {"groups": enc.groups, "given": enc.given}
    return {
        name: torch.from_numpy(column[examples])
        for name, column in columns.items()
        if column is not None
    } | {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
        "token_type_ids": torch.from_numpy(types.astype(np.int64)),
        "labels": torch.from_numpy(labels),
        "examples": torch.from_numpy(examples.astype(np.int64)),
    }
