"""Storing of the uploads of file fields, together with the row or not at all."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.sessions.session import after_failure
from opportune.fields.files import File, Image, ImageColumn, file_columns_of
from opportune.storage import Storage
from opportune.storage.storage import delete_new_files, deleting_files_on_error
from opportune.web.forms.uploads import Upload


@asynccontextmanager
async def stored_uploads(
    storage: Storage, model: type[SQLModel], values: Mapping[str, Any], session: AsyncSession | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Store uploads, and yield the values with the stored names instead of the uploads.

    If the block raises an error, or the transaction of the session fails, the stored files are deleted.

    Args:
        storage: Storage of the site.
        model: Model with the file fields.
        values: Values of a row by field.
        session: Session of the row, if it commits after the block.

    Raises:
        StorageError: A file cannot be stored.
        ImageRefusedError: An image is damaged or too large.
    """
    stored_values = dict(values)
    async with deleting_files_on_error(storage) as new_names:
        if session is not None:
            after_failure(session, partial(delete_new_files, storage, new_names))
        for field, column in file_columns_of(model).items():
            if isinstance(upload := values.get(field), Upload):
                name = await column.save(storage, upload)
                new_names.extend(column.names(name))
                file_class = Image if isinstance(column, ImageColumn) else File
                stored_values[field] = file_class.from_name(name, column)
        yield stored_values
