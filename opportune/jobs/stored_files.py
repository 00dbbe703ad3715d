"""The job that deletes stored files of deleted rows."""

from collections.abc import Sequence

from opportune.jobs.context import JobContext
from opportune.jobs.declaration import job
from opportune.storage import StorageError

MAX_DELETE_ATTEMPTS = 12
"""Attempts within 34 minutes, in case the storage is unavailable for a while."""


@job("jobs.delete_files", attempts=MAX_DELETE_ATTEMPTS)
async def delete_files(run: JobContext, names: Sequence[str]) -> None:
    """Delete the files that can be deleted. Raises StorageError for the others, which the next attempt deletes."""
    failure = None
    for name in names:
        try:
            await run.storage.delete(name)
        except StorageError as error:
            if await run.storage.check():
                raise  # the whole storage is unavailable, and each file would wait for it
            failure = error
    if failure:
        raise failure
