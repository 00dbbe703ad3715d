"""How far a long piece of work is: whoever does it tells, and whoever shows it, such as a command, listens."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """How far one piece of work is."""

    def advance(self, count: int = 1) -> None:
        """That many more are done."""

    def describe(self, label: str) -> None:
        """Something else is being done now."""


Show = Callable[[str, int | None, str], AbstractContextManager[Progress]]
_show: ContextVar[Show | None] = ContextVar("show_progress", default=None)


class _Unwatched:
    def advance(self, count: int = 1) -> None:
        pass

    def describe(self, label: str) -> None:
        pass


@contextmanager
def watched_by(show: Show) -> Iterator[None]:
    """Let the work of this block be shown."""
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)


@contextmanager
def work(label: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
    """Tell of the work in this block: `with work("Packing", 12, "files") as progress: … progress.advance()`."""
    if show := _show.get():
        with show(label, total, unit) as progress:
            yield progress
    else:
        yield _Unwatched()
