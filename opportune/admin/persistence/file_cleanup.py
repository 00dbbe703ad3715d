"""Stored files that columns name: deleted once no row names them any more."""

from collections.abc import Collection
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files


def defer_file_deletion(session: AsyncSession, row: Any, columns: Collection[str]) -> None:
    """Queue the deletion of what these columns of a locked row name: with the change that takes the names away."""
    if names := [name for column in columns if (name := getattr(row, column))]:
        defer(session, delete_files(names))
