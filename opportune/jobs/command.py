"""A command of oppman.py as the work of a job."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping

from opportune.config.project import PROJECT
from opportune.errors import OperatorError


async def run_command(*words: str, environ: Mapping[str, str] | None = None) -> None:
    """Run `oppman.py WORDS…` in a process of its own, which ends with the job; `environ` is added to ours.

    Raises:
        OperatorError: it failed; the line is what it says of that.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROJECT / "oppman.py"), *words),
        env={**os.environ, **(environ or {})},
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        _, complaint = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if process.returncode:
        said = complaint.decode(errors="replace").strip()
        raise OperatorError(said or f"The command ended with {process.returncode}.")
