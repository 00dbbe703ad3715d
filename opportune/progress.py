"""Progress of long work. Framework code reports it, and commands display it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol

from opportune.context import use_value


class Progress(Protocol):
    """Progress of one piece of work."""

    def advance(self, count: int = 1) -> None:
        """Report that `count` more items are done."""

    def describe(self, label: str) -> None:
        """Replace the label by the name of the current step."""


ShowProgress = Callable[[str, int | None, str], AbstractContextManager[Progress]]
"""Display the progress of work with a label, a total (None if unknown) and a unit."""
_show_progress: ContextVar[ShowProgress | None] = ContextVar("show_progress", default=None)


class _NoProgress:
    def advance(self, count: int = 1) -> None:
        pass

    def describe(self, label: str) -> None:
        pass


def watched_by(show_progress: ShowProgress) -> AbstractContextManager[None]:
    """Display the progress of work in this block with `show_progress`."""
    return use_value(_show_progress, show_progress)


@contextmanager
def work(label: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
    """Report the progress of the block.

        with work("Packing", len(files), "files") as progress:
            for file in files:
                pack(file)
                progress.advance()

    Args:
        label: Name of the work.
        total: Number of all items; None if it is unknown.
        unit: Plural name of the items.
    """
    if show_progress := _show_progress.get():
        with show_progress(label, total, unit) as progress:
            yield progress
    else:
        yield _NoProgress()
