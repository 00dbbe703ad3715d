"""Calls without `await` in a transaction. Python only warns about them, and nothing is written."""

import warnings
from asyncio import Task, current_task
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from weakref import WeakKeyDictionary

from opportune.project.layout import display_path

_missing: WeakKeyDictionary[Task[Any], str] = WeakKeyDictionary()
"""Line and warning of the last call of each task whose coroutine was deleted before it ran."""


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
        if str(message).endswith("was never awaited") and (task := current_task()):
            _missing[task] = f"{display_path(Path(filename))}:{lineno}: {message}"
        show(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        warnings.showwarning = collect
        yield


def forget_missing_awaits() -> None:
    """Forget the calls of the current task before its transaction begins."""
    if _missing and (task := current_task()):
        _missing.pop(task, None)


def require_awaited_calls() -> None:
    """Check the current task before its transaction is committed.

    Raises:
        RuntimeError: A call was not awaited.
    """
    if _missing and (task := current_task()) and (warning := _missing.pop(task, "")):
        raise RuntimeError(f"{warning}. Write await before the call.")
