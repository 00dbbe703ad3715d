"""Progress of long work. Framework code reports it, and commands display it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """Progress of one piece of work."""

    def advance(self, count: int = 1) -> None:
        """Report that `count` more items are done."""

    def describe(self, label: str) -> None:
        """Replace the label by the name of the current step."""


Show = Callable[[str, int | None, str], AbstractContextManager[Progress]]
_show: ContextVar[Show | None] = ContextVar("show_progress", default=None)


class _NoProgress:
    def advance(self, count: int = 1) -> None:
        pass

    def describe(self, label: str) -> None:
        pass


@contextmanager
def watched_by(show: Show) -> Iterator[None]:
    """Display the progress of work in this block with `show`."""
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)


@contextmanager
def work(label: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
    """Report the progress of the block.

    with work("Packing", len(files), "files") as progress:
        for file in files:
            pack(file)
            progress.advance()
    """
    if show := _show.get():
        with show(label, total, unit) as progress:
            yield progress
    else:
        yield _NoProgress()
