"""Calls without `await` in a transaction. Python only warns about them, and nothing is written."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from opportune.project.layout import display_path

_missing: ContextVar[list[str] | None] = ContextVar("missing", default=None)
"""Warnings about calls in the current transaction."""


@contextmanager
def collect_missing_awaits() -> Iterator[None]:
    """Collect the warnings of Python about calls without `await`, which it also prints."""
    show = warnings.showwarning

    def collect(message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
        missing = _missing.get()
        if missing is not None and str(message).endswith("was never awaited"):
            missing.append(f"{display_path(Path(filename))}:{lineno}: {message}")
        show(message, category, filename, lineno, *rest)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        warnings.showwarning = collect  # type: ignore[assignment]  # Python passes all arguments by position
        yield


@contextmanager
def refuse_missing_awaits() -> Iterator[None]:
    """End a transaction with an error if a call in it was not awaited, while these are collected.

    A transaction within another one has its own calls.
    """
    missing: list[str] = []
    outer = _missing.get()
    _missing.set(missing)
    try:
        yield
    finally:
        _missing.set(outer)
    if missing:
        raise RuntimeError(f"{missing[0]}. Write await before the call.")
