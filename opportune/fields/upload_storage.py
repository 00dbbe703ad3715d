"""Storing of the uploads of file fields, together with the row or not at all."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlmodel import SQLModel

from opportune.db.errors import may_be_committed
from opportune.fields.files import File, Image, ImageColumn, file_columns_of
from opportune.storage import Storage, StorageError
from opportune.web.forms.uploads import Upload


@asynccontextmanager
async def stored_uploads(
    storage: Storage, model: type[SQLModel], values: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Store uploads, and yield the values with the stored names instead of the uploads.

    If the block raises an error, the stored files are deleted.

    Args:
        storage: Storage of the site.
        model: Model with the file fields.
        values: Values of a row by field.

    Raises:
        StorageError: A file cannot be stored.
        ImageRefusedError: An image is damaged or too large.
    """
    stored_values = dict(values)
    async with deleting_files_on_error(storage) as new_names:
        for field, column in file_columns_of(model).items():
            if isinstance(upload := values.get(field), Upload):
                name = await column.save(storage, upload)
                new_names.extend(column.names(name))
                file_class = Image if isinstance(column, ImageColumn) else File
                stored_values[field] = file_class.from_name(name, column)
        yield stored_values


@asynccontextmanager
async def deleting_files_on_error(storage: Storage) -> AsyncIterator[list[str]]:
    """Yield a list for the names of new files. If the block raises an error, these files are deleted.

    They stay if the commit was interrupted, because their row may have been stored.
    """
    new_names: list[str] = []
    try:
        yield new_names
    except BaseException as error:
        for name in () if may_be_committed(error) else new_names:
            with suppress(StorageError):  # keep the original error
                await storage.delete(name)
        raise
