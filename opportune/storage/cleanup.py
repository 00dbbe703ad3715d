"""Deletion of new files whose rows are not stored."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from opportune.db.errors import may_be_committed
from opportune.storage.storage import Storage, StorageError


@asynccontextmanager
async def deleting_files_on_error(storage: Storage) -> AsyncIterator[list[str]]:
    """Yield a list for the names of new files. If the block raises an error, these files are deleted.

    They stay if the commit was interrupted, because their row may have been stored.
    """
    new_names: list[str] = []
    try:
        yield new_names
    except BaseException as error:
        if not may_be_committed(error):
            await delete_new_files(storage, new_names)
        raise


async def delete_new_files(storage: Storage, names: Iterable[str]) -> None:
    """Delete files after an error, which is more important than one of the storage."""
    for name in names:
        with suppress(StorageError):
            await storage.delete(name)
