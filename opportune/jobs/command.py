"""Running commands of oppman.py in jobs."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import suppress

from opportune.errors import OperatorError
from opportune.project.current import HAS_PROJECT
from opportune.project.layout import PROJECT

COMMAND_LINE = (str(PROJECT / "oppman.py"),) if HAS_PROJECT else ("-m", "opportune")


async def run_command(*arguments: str, environ: Mapping[str, str] | None = None) -> None:
    """Run `oppman.py` in a new process. If the job is cancelled, the process is terminated, and killed after 3 seconds.

    Args:
        arguments: The command and its arguments, such as `"migrate", "--check"`.
        environ: Environment variables to add.

    Raises:
        OperatorError: The command failed. The message is its output on stderr.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *COMMAND_LINE,
        *arguments,
        env={**os.environ, **(environ or {})},
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        _, stderr = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):  # it has ended
            process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 3)  # a stopping worker waits for 4 seconds
            process.kill()
        raise
    if process.returncode:
        message = stderr.decode(errors="replace").strip()
        raise OperatorError(message or f"The command ended with the exit code {process.returncode}.")
