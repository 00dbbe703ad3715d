"""Handing the process over to another program."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Never

from opportune.errors import OperatorError

_may_end_here: ContextVar[bool] = ContextVar("may_end_here", default=True)


@contextmanager
def keeping_the_process() -> Iterator[None]:
    """Refuse to hand the process over from inside the block: it has other things to do."""
    token = _may_end_here.set(False)
    try:
        yield
    finally:
        _may_end_here.reset(token)


def exec_process(command: list[str], environ: Mapping[str, str] | None = None) -> Never:
    """Go on as another program, with its exit code and its answers to signals.

    Raises:
        FileNotFoundError: there is no such program.
        OperatorError: this was called from code.
    """
    if not _may_end_here.get():
        raise OperatorError(f"This would go on as {command[0]}: start it as a program of its own (subprocess).")
    sys.stdout.flush()
    if sys.platform == "win32":  # where exec gives the prompt back before the program has ended
        sys.exit(subprocess.call(command, env=environ))
    os.execvpe(command[0], command, environ or os.environ)  # noqa: S606 - as above
