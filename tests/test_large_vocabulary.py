"""A multilingual model is mostly word embeddings: they are never copied more often than needed."""

from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import lada
from tests.families import tiny


class Peak(TorchDispatchMode):
    """Bytes of all tensors that operators made and that are alive, at most, without a model's."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self._given = {p.untyped_storage()._cdata for p in model.parameters()}
        self.most = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and not tensor.is_meta:
                storage = tensor.untyped_storage()
                if storage._cdata in self._given:  # a view of the model
                    continue
                self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self._alive = {k: v for k, v in self._alive.items() if not v[0].expired()}
        self.most = max(self.most, sum(size for _, size in self._alive.values()))
        return out


def _bytes(model: torch.nn.Module) -> int:
    return sum(t.nbytes for t in (*model.parameters(), *model.buffers()))


def test_memory_until_the_first_round() -> None:
    teacher = tiny("xlm-roberta", vocab_size=20000, hidden_size=32, intermediate_size=64)
    with Peak(teacher) as peak:
        compression = lada.prepare(teacher, target=5, steps=100)
        compression.before_step(0)
    made = _bytes(compression.model)
    assert made > 20000 * 4  # the student is among what is counted
    assert made <= peak.most <= 1.6 * (_bytes(teacher) + made) - _bytes(teacher)
