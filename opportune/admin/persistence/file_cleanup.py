"""Deletion of stored files that no column refers to."""

from collections.abc import Collection
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files


def defer_file_deletion(session: AsyncSession, row: Any, columns: Collection[str]) -> None:
    """Queue the deletion of the files of these columns, in the transaction that changes the row."""
    if names := [name for column in columns if (name := getattr(row, column))]:
        defer(session, delete_files(names))
