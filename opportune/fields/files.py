"""Columns that hold the name of a stored file, and what becomes of the file."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import sqlmodel
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from sqlalchemy import Dialect, String, TypeDecorator
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.hooks.registry import after_change, after_delete, changes
from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files
from opportune.schemas.annotations import Attached, Stored, marks_of
from opportune.storage import Storage, StorageError, shrink
from opportune.storage.images import CONTENT_TYPES
from opportune.storage.public_folders import (
    WEBP,
    copy_name,
    copy_names,
    declare_folder,
    is_public,
    public_url,
    save_copy,
)
from opportune.web.forms.uploads import Upload

MAX_NAME_LENGTH = 200
CHOOSE = "Please choose a file."
F = TypeVar("F", bound="File")


@dataclass(frozen=True)
class FileColumn:
    """A column that holds the name of a stored file: `file_columns = {"contract": FileColumn("orders")}`."""

    folder: str
    """Where in the storage new ones are kept."""

    accept = ""

    def fault(self, upload: Upload) -> str:
        """Why it is not taken, in a sentence for the sender; empty if it is."""
        return upload.fault

    async def save(self, storage: Storage, upload: Upload) -> str:
        """The name that it is kept by. Raises StorageError."""
        return await storage.save(self.folder, upload.suffix, upload.content, upload.content_type)

    def names(self, name: str) -> list[str]:
        """The file, and what was made of it."""
        return [name, *copy_names(name)]


@dataclass(frozen=True)
class ImageColumn(FileColumn):
    """A picture: drawn anew as a WebP, upright and without the place and time that a camera writes into it."""

    max_side_pixels: int = 1600
    """Pixels of the longer side."""
    renditions: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Smaller copies: pixels of their longer sides, by their names."""

    accept = ",".join(CONTENT_TYPES)

    def fault(self, upload: Upload) -> str:
        return upload.fault or upload.image_fault

    async def save(self, storage: Storage, upload: Upload) -> str:
        content = await shrink(upload.content, self.max_side_pixels)
        name = await storage.save(self.folder, "webp", content, WEBP)
        for size in self.renditions.values():
            await save_copy(storage, name, content, size)
        return name


class File(str):
    """The name of a stored file, as a row has it. In forms and schemas it takes an upload, and no text."""

    column: FileColumn = FileColumn("files")

    @classmethod
    def of(cls, name: str, column: FileColumn) -> Self:
        file = cls(name)
        file.column = column
        return file

    def url(self) -> str:
        """Its address, which may be cached for ever.

        Raises:
            ValueError: it is not public. `await storage.url(book.contract)` is an address for who may see it now.
        """
        return _public_url(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        address = core_schema.plain_serializer_function_ser_schema(
            _address, return_schema=core_schema.str_schema(), when_used="json"
        )
        return core_schema.no_info_plain_validator_function(cls._taken, serialization=address)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if getattr(handler, "mode", "") == "serialization":
            return {"type": "string"}
        return {"type": "string", "format": "binary", **cls._more_schema()}

    @classmethod
    def _more_schema(cls) -> JsonSchemaValue:
        return {}

    @classmethod
    def _taken(cls, value: object) -> object:
        if isinstance(value, Upload):
            if fault := cls.column.fault(value):
                raise PydanticCustomError("upload_fault", "{fault}", {"fault": fault})
            return value
        if value == "" or isinstance(value, File):
            return value
        raise PydanticCustomError("upload_type", CHOOSE)


class Image(File):
    """The name of a stored picture: `<img src="{{ book.cover.url("thumb") }}" alt="">`."""

    column: FileColumn = ImageColumn("images")

    def url(self, rendition: str = "") -> str:
        """Its address, or that of a smaller copy. Raises ValueError: it is not public."""
        return _public_url(self.rendition(rendition))

    def rendition(self, name: str = "") -> str:
        """The name that a copy is stored by; that of the picture itself without a name.

        Raises:
            KeyError: there is no such copy.
        """
        assert isinstance(self.column, ImageColumn)
        return copy_name(self, self.column.renditions[name]) if name else self

    @classmethod
    def _more_schema(cls) -> JsonSchemaValue:
        return {"contentMediaType": cls.column.accept}


def _public_url(name: str) -> str:
    if not is_public(name):
        raise ValueError("This file is not public: `await storage.url(name)` gives an address to who may see it.")
    return public_url(name)


def _address(name: object) -> str:
    """What an API tells of a file: a public address, else its name, which opens nothing."""
    return public_url(name) if isinstance(name, str) and name and is_public(name) else str(name)


class FileName(TypeDecorator[File]):
    """A column of names, which come back with their addresses."""

    impl = String(MAX_NAME_LENGTH)
    cache_ok = True

    def __init__(self, kind: type[File], column: FileColumn, length: int = MAX_NAME_LENGTH) -> None:
        super().__init__(length)
        self.kind = kind
        self.column = column

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> File | None:
        return None if value is None else self.kind.of(value, self.column)


@dataclass(frozen=True)
class FileAttachment(Attached):
    """Says of a field how its files are kept, and sees to it that they go with their rows."""

    column: FileColumn

    def attach(self, model: type[SQLModel], name: str) -> None:
        async def delete_old(session: AsyncSession, row: SQLModel) -> None:
            if (change := changes(row).get(name)) and change.before:
                defer(session, delete_files(self.column.names(change.before)))

        async def delete_last(session: AsyncSession, row: SQLModel) -> None:
            if stored := getattr(row, name):
                defer(session, delete_files(self.column.names(stored)))

        after_change(model)(delete_old)
        after_delete(model)(delete_last)


def file_field(folder: str, *, public: bool = False, max_length: int = MAX_NAME_LENGTH, **options: Any) -> Any:
    """A `File` that is kept in a folder of the storage: `contract: File = file_field("orders")`."""
    return _field(File, FileColumn(folder), public, max_length, options)


def image_field(
    folder: str,
    renditions: Mapping[str, int] | None = None,
    *,
    public: bool = True,
    max_side_pixels: int = 1600,
    max_length: int = MAX_NAME_LENGTH,
    **options: Any,
) -> Any:
    """An `Image` that is kept in a folder of the storage, as a WebP and in smaller copies.

        cover: Image = image_field("books", {"thumb": 200})

    Args:
        folder: Where in the storage.
        renditions: Pixels of the longer side of each copy, by its name.
        public: Whether anybody who has its address may see it, and every cache keep it.
        max_side_pixels: Pixels of the longer side of the picture itself.
        max_length: Characters of the column.
        options: Those of `Field`; `default=""` for one that may be left out.
    """
    column = ImageColumn(folder, max_side_pixels, renditions or {})
    return _field(Image, column, public, max_length, options)


def _field(kind: type[File], column: FileColumn, public: bool, length: int, options: dict[str, Any]) -> Any:
    declare_folder(column.folder, getattr(column, "renditions", {}).values(), is_public=public)
    made: Any = sqlmodel.Field(**options)
    made.metadata.extend((Stored(FileName(kind, column, length)), FileAttachment(column)))
    return made


def file_columns_of(model: type[Any]) -> dict[str, FileColumn]:
    """The fields of a model that hold files."""
    fields = getattr(model, "model_fields", {})
    return {name: kept.column for name, info in fields.items() for kept in marks_of(info, FileAttachment)}


@asynccontextmanager
async def stored_uploads(
    storage: Storage, model: type[SQLModel], values: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Store the uploads among the values of a row; the block has names in their place.

    Unless it ends well, what was stored is deleted again. Raises StorageError, ImageRefusedError.
    """
    columns, stored = file_columns_of(model), dict(values)
    async with deleted_unless_done(storage) as new:
        for name in columns.keys() & values.keys():
            if isinstance(upload := values[name], Upload):
                kind = Image if isinstance(columns[name], ImageColumn) else File
                stored[name] = kind.of(await columns[name].save(storage, upload), columns[name])
                new.extend(columns[name].names(stored[name]))
        yield stored


@asynccontextmanager
async def deleted_unless_done(storage: Storage) -> AsyncIterator[list[str]]:
    """A list for the names of what the block stores: unless it ends well, that is deleted again."""
    new: list[str] = []
    done = False
    try:
        yield new
        done = True
    finally:
        for name in new if not done else ():
            with suppress(StorageError):  # why the change was not made matters more
                await storage.delete(name)
