"""Uploaded files as values of Pydantic models."""

import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from starlette.datastructures import UploadFile
from starlette.requests import Request

from opportune.config.site_settings import DEFAULT_MAX_UPLOAD_BYTES
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import localize_number
from opportune.schemas.annotations import Attribute
from opportune.storage.images import CONTENT_TYPES, ImageRefusedError, check_image

max_upload_bytes: ContextVar[int] = ContextVar("max_upload_bytes", default=DEFAULT_MAX_UPLOAD_BYTES)
"""MAX_UPLOAD_BYTES of the site that handles the request."""

EXTRA_BODY_BYTES_KEY = "opportune.more_body"
"""Key in the ASGI scope for the extra bytes a body may have. The value is a list, so copies of the scope share it."""

# Characters that a line of text cannot show.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
MAX_FILENAME_LENGTH = 100
FILE_REQUIRED = _l("Please choose a file.")


@dataclass(frozen=True)
class Upload:
    """An uploaded file of any type. Use `ImageUpload` for images."""

    filename: str
    """Sanitized name, for display only."""
    content: bytes = field(repr=False)
    content_type: str = "application/octet-stream"
    """Type of an image, detected from the content. Other files have this default."""
    fault: str = ""
    """Reason to refuse the file in every field, as a sentence for the user. Empty if there is none."""
    image_fault: str = ""
    """Reason to refuse the file in image fields."""

    @property
    def suffix(self) -> str:
        """Suffix of the stored file."""
        return CONTENT_TYPES.get(self.content_type, "bin")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_check_upload)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "binary"}


def _check_upload(value: object) -> Upload:
    if not isinstance(value, Upload):
        raise PydanticCustomError("upload_type", FILE_REQUIRED)
    if value.fault:
        raise PydanticCustomError("upload_fault", "{fault}", {"fault": value.fault})
    return value


def _check_image(value: Upload) -> Upload:
    if value.image_fault:
        raise PydanticCustomError("upload_fault", "{fault}", {"fault": value.image_fault})
    return value


ImageUpload = Annotated[
    Upload, AfterValidator(_check_image), Field(json_schema_extra={"contentMediaType": ",".join(CONTENT_TYPES)})
]
"""An image of one of the `CONTENT_TYPES`."""


def allow_files(request: Request) -> None:
    """Accept files in the body of this request. Call it before the body is read."""
    if is_multipart(request.headers.get("content-type", "").encode()):
        request.scope.setdefault(EXTRA_BODY_BYTES_KEY, [0])[0] = max_upload_bytes.get()


def too_large_message() -> str:
    """Return the message for a file over the limit."""
    size = max_upload_bytes.get()
    text = f"{size / 1e6:.3g} MB" if size >= 1_000_000 else f"{size / 1e3:.3g} kB"
    return gettext("Please choose a file of at most %(size)s.", size=localize_number(text))


def file_attributes() -> dict[str, Attribute]:
    """Return attributes for the script that refuses large files before they are sent."""
    return {"data-largest": max_upload_bytes.get(), "data-too-large": too_large_message()}


def is_multipart(content_type: bytes) -> bool:
    """Return whether a body of this type can contain files."""
    return content_type.lower().startswith(b"multipart/form-data")


async def read_upload(file: UploadFile) -> Upload | None:
    """Read a file field and check images in a thread. Return None if no file was selected."""
    if not file.filename and not file.size:
        return None
    name = display_name(file.filename or "")
    if (file.size or 0) > max_upload_bytes.get():
        return Upload(name, b"", fault=too_large_message())
    content = await file.read()
    try:
        return Upload(name, content, await check_image(content))
    except ImageRefusedError as error:
        return Upload(name, content, image_fault=str(error))


def display_name(filename: str) -> str:
    """Return the name of a file without control characters and the folders of Unix or Windows."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    return UNPRINTABLE.sub("", name).strip()[:MAX_FILENAME_LENGTH] or "file"
