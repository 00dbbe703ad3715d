"""Signals of the process of a command, and other programs that it runs."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Never

from opportune.context import use_value
from opportune.errors import OperatorError

ONE_MALLOC_ARENA = {"MALLOC_ARENA_MAX": "1"}
"""Environment with which glibc reserves no memory for each thread. A server under load needs 3 to 5 MB less."""
_exec_allowed: ContextVar[bool] = ContextVar("exec_allowed", default=True)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGTERM and SIGHUP, so that they also clean up. `nohup` still ignores SIGHUP."""
    numbers = [number for number in signal.Signals if number.name in {"SIGTERM", "SIGHUP"}]
    defaults = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in defaults:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in defaults:
            signal.signal(number, signal.SIG_DFL)


def find_program(name: str) -> str | None:
    """Return the path of a program of this environment, or on PATH."""
    return shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def last_line(output: str) -> str:
    """Return the last line of a program's output, in which most programs say why they failed."""
    return (output.strip() or "no error message").splitlines()[-1]


def forbid_exec() -> AbstractContextManager[None]:
    """Prevent the block from replacing the process."""
    return use_value(_exec_allowed, False)


def exec_process(command: list[str], environ: Mapping[str, str] | None = None) -> Never:
    """Replace the process by another program, unless the command was called from code."""
    if not _exec_allowed.get():
        raise OperatorError(f"This command replaces the process with {command[0]}. Start it with subprocess instead.")
    with suppress(OSError):  # the other program reports a full disk
        print(end="", flush=True)  # also if it is closed
    if sys.platform == "win32":  # exec returns to the prompt before the program ends
        sys.exit(subprocess.call(command, env=environ))
    os.execvpe(command[0], command, environ or os.environ)  # noqa: S606 - no shell is needed
