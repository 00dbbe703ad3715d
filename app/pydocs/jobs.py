"""The index without a shell: the same command, as a job."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE

from app.pydocs.engines.opening import NAME, index_url
from opportune.errors import OperatorError
from opportune.jobs import JobContext, job
from opportune.project import PROJECT


@job("pydocs.index_python", attempts=3, wait=10)
async def index_python(run: JobContext) -> None:
    """In a process of its own: thousands of texts would keep this one from its visitors."""
    address = index_url(run.settings).url.render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROJECT / "oppman.py"), "pydocs", "index"),
        env={**os.environ, NAME: address},
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
        raise OperatorError(
            complaint.decode(errors="replace").strip() or f"The command ended with {process.returncode}."
        )
