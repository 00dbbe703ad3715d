"""Values of context variables within a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def use_value(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Set a variable in this thread or task until the block ends."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
