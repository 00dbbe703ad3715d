"""Fields for stored files and images, and the storing of their uploads.

Hooks delete the files when rows change or are deleted.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Self, TypeVar

import sqlmodel
from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PositiveInt, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from sqlalchemy import Dialect, String, TypeDecorator
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.hooks.registry import after_delete, after_update, changes
from opportune.db.sessions.session import after_failure
from opportune.errors.arguments import strict
from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files
from opportune.schemas.annotations import Attached, FieldOptions, Stored, annotations_of
from opportune.storage import Storage, public_folders, shrink
from opportune.storage.images import CONTENT_TYPES
from opportune.storage.storage import delete_new_files, deleting_files_on_error
from opportune.web.forms.uploads import FILE_REQUIRED, Upload

MAX_NAME_LENGTH = 200
"""Default maximum length of the name of a stored file."""
F = TypeVar("F", bound="File")


@strict
@dataclass(frozen=True)
class FileColumn:
    """Column with the name of a stored file: `file_columns = {"contract": FileColumn("orders")}`."""

    folder: Annotated[str, StringConstraints(pattern=r"^[\w-]+(/[\w-]+)*$")]
    """Folder of the storage for new files."""

    accept = ""

    def fault(self, upload: Upload) -> str:
        """Return an error message for the user if the upload is refused, else an empty string."""
        return upload.fault

    async def save(self, storage: Storage, upload: Upload) -> str:
        """Store an upload and return its name.

        Raises:
            StorageError: The file cannot be stored.
        """
        return await storage.save(self.folder, upload.suffix, upload.content, upload.content_type)

    def names(self, name: str) -> list[str]:
        """Return the stored names of a file and of its smaller copies."""
        return [name, *public_folders.copy_names(name)]


@strict
@dataclass(frozen=True)
class ImageColumn(FileColumn):
    """Image column. Images are re-encoded as WebP, rotated upright, and lose their metadata."""

    max_side_pixels: PositiveInt = 1600
    """Maximum pixels of the longer side."""
    renditions: Mapping[str, PositiveInt] = field(default_factory=dict, hash=False)
    """Smaller copies: maximum pixels of the longer side by name."""

    accept = ",".join(CONTENT_TYPES)

    def fault(self, upload: Upload) -> str:
        return upload.fault or upload.image_fault

    async def save(self, storage: Storage, upload: Upload) -> str:
        content = await shrink(upload.content, self.max_side_pixels)
        async with deleting_files_on_error(storage) as new_names:
            name = await storage.save(self.folder, "webp", content, public_folders.WEBP)
            new_names.extend(self.names(name))
            for size in self.renditions.values():
                await public_folders.save_copy(storage, name, content, size)
        return name


class File(str):
    """Name of a stored file. Forms and schemas accept an upload instead of text."""

    column: FileColumn = FileColumn("files")
    form_options = FieldOptions(type="file", maxlength=None)

    @classmethod
    def from_name(cls, name: str, column: FileColumn) -> Self:
        file = cls(name)
        file.column = column
        return file

    def url(self) -> str:
        """Return the URL of a public file. Browsers may cache it forever.

        Raises:
            ValueError: The file is private. `await storage.url(book.contract)` returns a temporary URL.
        """
        return _public_url(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        serializer = core_schema.plain_serializer_function_ser_schema(
            _serialize, return_schema=core_schema.str_schema(), when_used="json"
        )
        return core_schema.no_info_plain_validator_function(cls._validate_upload, serialization=serializer)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        is_response = getattr(handler, "mode", "") == "serialization"
        return {"type": "string"} if is_response else {"type": "string", "maxLength": 0}  # JSON only removes a file

    @classmethod
    def _validate_upload(cls, value: object) -> object:
        if isinstance(value, Upload):
            if fault := cls.column.fault(value):
                raise PydanticCustomError("upload_fault", "{fault}", {"fault": fault})
            return value
        if value == "" or isinstance(value, File):
            return value
        raise PydanticCustomError("upload_type", FILE_REQUIRED)


class Image(File):
    """Name of a stored image: `<img src="{{ book.cover.url("thumb") }}" alt="">`."""

    column: FileColumn = ImageColumn("images")
    form_options = File.form_options | FieldOptions(accept=column.accept)

    def url(self, rendition: str = "") -> str:
        """Return the URL of the image or of a smaller copy.

        Args:
            rendition: Name of the copy. Empty for the image itself.

        Raises:
            ValueError: The image is private.
        """
        return _public_url(self.rendition(rendition))

    def rendition(self, name: str = "") -> str:
        """Return the stored name of a copy, or of the image itself without a name."""
        assert isinstance(self.column, ImageColumn)
        return public_folders.copy_name(self, self.column.renditions[name]) if name else self


def _public_url(name: str) -> str:
    if not public_folders.is_public(name):
        raise ValueError("This file is private. `await storage.url(name)` returns a temporary URL.")
    return public_folders.public_url(name)


def _serialize(name: object) -> str:
    """Return the URL of a public file, or the name of a private one."""
    if isinstance(name, str) and name and public_folders.is_public(name):
        return public_folders.public_url(name)
    return str(name)


class FileName(TypeDecorator[File]):
    """Column type whose values are `File` objects that know their `FileColumn`."""

    impl = String
    cache_ok = True

    def __init__(self, file_class: type[File], column: FileColumn, length: int = MAX_NAME_LENGTH) -> None:
        super().__init__(length)
        self.file_class = file_class
        self.column = column

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> File | None:
        return None if value is None else self.file_class.from_name(value, self.column)


@dataclass(frozen=True)
class FileAttachment(Attached):
    """Annotation that registers hooks to delete files of changed and deleted rows."""

    column: FileColumn

    def attach(self, model: type[SQLModel], name: str) -> None:
        async def delete_replaced_file(session: AsyncSession, row: SQLModel) -> None:
            if (change := changes(row).get(name)) and change.before:
                defer(session, delete_files(self.column.names(change.before)))

        async def delete_file(session: AsyncSession, row: SQLModel) -> None:
            if file := getattr(row, name):
                defer(session, delete_files(self.column.names(file)))

        after_update(model)(delete_replaced_file)
        after_delete(model)(delete_file)


def file_field(folder: str, *, public: bool = False, max_length: int = MAX_NAME_LENGTH, **options: Any) -> Any:
    """Return a field for a `File`: `contract: File = file_field("orders")`.

    Args:
        folder: Folder of the storage.
        public: Whether everyone may read the files. Otherwise they need a temporary URL.
        max_length: Maximum characters of the column.
        options: Options of `Field`, such as `default=""` for an optional file.
    """
    return _create_field(File, FileColumn(folder), max_length, options, public=public)


def image_field(
    folder: str,
    renditions: Mapping[str, int] | None = None,
    *,
    public: bool = True,
    max_side_pixels: int = 1600,
    max_length: int = MAX_NAME_LENGTH,
    **options: Any,
) -> Any:
    """Return a field for an `Image`, stored as WebP with smaller copies: `image_field("books", {"thumb": 200})`.

    Args:
        folder: Folder of the storage.
        renditions: Smaller copies: maximum pixels of the longer side by name.
        public: Whether everyone may read the images. Otherwise they need a temporary URL.
        max_side_pixels: Maximum pixels of the longer side. Larger images are scaled down.
        max_length: Maximum characters of the column.
        options: Options of `Field`, such as `default=""` for an optional image.
    """
    column = ImageColumn(folder, max_side_pixels, renditions or {})
    return _create_field(Image, column, max_length, options, public=public)


def _create_field(
    file_class: type[File], column: FileColumn, length: int, options: dict[str, Any], *, public: bool
) -> Any:
    public_folders.declare_folder(column.folder, getattr(column, "renditions", {}).values(), is_public=public)
    info: Any = sqlmodel.Field(**options)
    info.metadata.extend((Stored(FileName(file_class, column, length)), FileAttachment(column)))
    if info.is_required():
        info.metadata.append(AfterValidator(_require_file))
    return info


def _require_file(value: object) -> object:
    if not value:
        raise PydanticCustomError("upload_type", FILE_REQUIRED)
    return value


def file_columns_of(model: type[Any]) -> dict[str, FileColumn]:
    fields = getattr(model, "model_fields", {})
    return {name: file.column for name, info in fields.items() for file in annotations_of(info, FileAttachment)}


@asynccontextmanager
async def stored_uploads(
    storage: Storage, model: type[SQLModel], values: Mapping[str, Any], session: AsyncSession | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Store uploads, and yield the values with the stored names instead of the uploads.

    The session is flushed at the end of the block. If the block or a hook raises an error, or the transaction of the
    session fails, the stored files are deleted.

    Args:
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
        if session is not None:
            await session.flush()
