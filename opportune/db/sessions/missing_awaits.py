"""Calls without `await` in a transaction. Python only warns about them, and nothing is written."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from opportune.project.layout import display_path

_missing: ContextVar[list[str] | None] = ContextVar("missing", default=None)
"""Warnings about calls in the current transaction."""


@contextmanager
def collect_missing_awaits() -> Iterator[None]:
    """Collect the warnings of Python about calls without `await`, which it also prints."""
    show = warnings.showwarning

    def collect(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        missing = _missing.get()
        if missing is not None and str(message).endswith("was never awaited"):
            missing.append(f"{display_path(Path(filename))}:{lineno}: {message}")
        show(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        warnings.showwarning = collect
        yield


class AwaitedCalls:
    """Block of a transaction. It ends with an error if a call in it was not awaited, while these are collected.

    A transaction within another one has its own calls.
    """

    def __enter__(self) -> None:
        self._outer = _missing.get()
        _missing.set([])

    def __exit__(self, error_type: type[BaseException] | None, *_error: Any) -> None:
        """End the block.

        Raises:
            RuntimeError: A call was not awaited.
        """
        missing = _missing.get()
        _missing.set(self._outer)
        if missing and error_type is None:
            raise RuntimeError(f"{missing[0]}. Write await before the call.")
