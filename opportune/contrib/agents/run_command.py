"""Runs commands of `oppman.py` in new processes, so that they use the current code of the project."""

import asyncio
import os
import signal
import sys
from contextlib import suppress

from opportune.errors import OperatorError
from opportune.project.layout import PROJECT

MAX_OUTPUT_CHARS = 20_000
TIMEOUT_SECONDS = 60


async def run_command(*arguments: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
    """Return the output of a command, with its exit code if it fails.

    Raises:
        OperatorError: The command took too long, and was ended with all processes that it started.
    """
    if any("\0" in argument for argument in arguments):
        raise OperatorError("The text has a NUL character, which no command accepts. Leave it out.")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROJECT / "oppman.py"), *arguments),
        cwd=PROJECT,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        raise OperatorError(f"oppman.py {arguments[0]} took more than {timeout_seconds:g} seconds.") from None
    finally:
        if process.returncode is None:
            end_processes(process)
            await process.wait()
    text = shorten(output.decode(errors="replace"))
    return f"{text}\nExit code {process.returncode}" if process.returncode else text


def end_processes(process: asyncio.subprocess.Process) -> None:
    """End a process and those that it started."""
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def shorten(text: str) -> str:
    """Return the end of a long text, because results and errors are printed last."""
    return text if len(text) <= MAX_OUTPUT_CHARS else f"…{text[-MAX_OUTPUT_CHARS:]}"
