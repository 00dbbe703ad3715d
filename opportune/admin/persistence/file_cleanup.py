"""Stored files that columns name: deleted once no row names them any more."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.jobs import JobContext, defer, job

MAX_DELETE_ATTEMPTS = 12
"""Tries in 34 minutes: a place of files may be away for a while."""


@job("admin.delete_files", attempts=MAX_DELETE_ATTEMPTS)
async def delete_files(run: JobContext, names: Sequence[str]) -> None:
    for name in names:
        await run.storage.delete(name)


def defer_file_deletion(session: AsyncSession, row: Any, columns: Collection[str]) -> None:
    """Queue the deletion of what these columns of a locked row name: with the change that takes the names away."""
    if names := [name for column in columns if (name := getattr(row, column))]:
        defer(session, delete_files(names))
