"""The job that deletes stored files which no row names any more."""

from collections.abc import Sequence

from opportune.jobs.job import JobContext, job

MAX_DELETE_ATTEMPTS = 12
"""Tries in 34 minutes: a place of files may be away for a while."""


@job("jobs.delete_files", attempts=MAX_DELETE_ATTEMPTS)
async def delete_files(run: JobContext, names: Sequence[str]) -> None:
    for name in names:
        await run.storage.delete(name)
