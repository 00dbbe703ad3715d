"""The job that deletes stored files of deleted rows."""

from collections.abc import Sequence

from opportune.jobs.declaration import JobContext, job

MAX_DELETE_ATTEMPTS = 12
"""Attempts within 34 minutes, in case the storage is unavailable for a while."""


@job("jobs.delete_files", attempts=MAX_DELETE_ATTEMPTS)
async def delete_files(run: JobContext, names: Sequence[str]) -> None:
    for name in names:
        await run.storage.delete(name)
