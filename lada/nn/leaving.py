"""Forward passes from whose batch examples leave between the layers, by hooks.

The family's own code runs, with the masks, positions and norms that it makes; hooks take examples
out of what its layers read. Nothing happens outside of `Pass.run`.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lada.nn.running import Running

T = TypeVar("T")
Leave = Callable[[int, Tensor, Tensor], Tensor | None]


class _AllLeft(Exception):
    """No example is left: the rest of the forward pass is not needed."""


class Pass:
    """One forward pass.

    Args:
        examples: token ids of the batch, (batch, length).
        leave: called before each layer but the first, with the number of layers that have run, the
            states that the layer reads, (left, length, width), and the numbers of the examples
            left, (left,) int64. Returns which of them stay, (left,) bool; None: all do.
        whole: give the encoder's output its whole batch back, with zeros for examples that have
            left: for a head that reads the inputs of all examples.

    Attributes:
        left: the numbers of the examples left, (left,) int64.
    """

    def __init__(self, examples: Tensor, leave: Leave, *, whole: bool = False):
        self.left = torch.arange(len(examples), device=examples.device)
        self._batch = len(examples)
        self._leave = leave
        self._whole = whole
        self._layers = 0

    def run(self, forward: Callable[[], T]) -> T | None:
        """The result of a forward pass of a model with hooks; None if all examples have left."""
        token = _RUNNING.set(self)
        try:
            return forward()
        except _AllLeft:
            return None
        finally:
            _RUNNING.reset(token)

    def enter(self, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What a layer reads, of the examples that are left: positional and named arguments."""
        number, self._layers = self._layers, self._layers + 1
        states = given[0]
        stay = self._leave(number, states, self.left) if number else None
        if stay is not None:
            self.left, states = self.left[stay], states[stay]
            if not len(self.left):
                raise _AllLeft
        if len(self.left) == self._batch:
            return None
        # The encoder gives each layer what it has made for the whole batch.
        rest = (self._of_left(value) for value in given[1:])
        return (states, *rest), {name: self._of_left(value) for name, value in named.items()}

    def _of_left(self, value: Any) -> Any:
        """The part of an argument that belongs to the examples left.

        Masks and positions of examples have their number as first dimension. A matrix of floating
        numbers is a weight, such as DeBERTa's relative positions, of which there may be as many.
        """
        shape = getattr(value, "shape", ())
        if shape[:1] != (self._batch,) or (len(shape) < 3 and value.is_floating_point()):
            return value
        return value[self.left]

    def put_back(self, output: Any) -> Any:
        """The encoder's output, with the whole batch if that is wanted."""
        if self._whole and len(self.left) < self._batch:
            states = output.last_hidden_state
            full = states.new_zeros(self._batch, *states.shape[1:])
            full[self.left] = states
            output["last_hidden_state"] = full
        return output


_RUNNING = Running[Pass]("pass")


def hook_(layers: Iterable[nn.Module], encoder: nn.Module) -> None:
    """Let examples leave an encoder between its layers, in place, within `Pass.run`."""
    for layer in layers:
        layer.register_forward_pre_hook(_enter, with_kwargs=True)
    encoder.register_forward_hook(_put_back)


def _enter(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    running = _RUNNING.get()
    return None if running is None else running.enter(given, named)


def _put_back(_: nn.Module, __: Any, output: Any) -> Any:
    running = _RUNNING.get()
    return None if running is None else running.put_back(output)
