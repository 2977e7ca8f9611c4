"""A value for the time of a forward pass, such as what hooks on its modules need."""

from contextvars import ContextVar, Token
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class Running(Generic[T]):
    """The value of the forward pass that runs in this thread; None where none runs.

    torch.compile cannot trace a `ContextVar`: the value of a pass that it traces is that of the
    whole process.

    Example:
        >>> from lada.nn.running import Running
        >>> running = Running[int]("layer")
        >>> token = running.set(3)
        >>> running.get()
        3
        >>> running.reset(token)
        >>> running.get()
    """

    def __init__(self, name: str) -> None:
        self._own: ContextVar[T | None] = ContextVar(name, default=None)
        self._traced: T | None = None

    def get(self) -> T | None:
        """The value that was set last."""
        if self._traced is not None or torch.compiler.is_compiling():
            return self._traced
        return self._own.get()

    def set(self, running: T) -> Token[T | None] | None:
        """Returns what `reset` needs."""
        if torch.compiler.is_compiling():
            self._traced = running
            return None
        return self._own.set(running)

    def reset(self, token: Token[T | None] | None) -> None:
        """Restore what was there before `set`."""
        if token is None:
            self._traced = None
        else:
            self._own.reset(token)
