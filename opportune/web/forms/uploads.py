"""Files that come with a form, as values that a Pydantic model can hold."""

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
from opportune.schemas.annotations import Attribute
from opportune.storage.images import CONTENT_TYPES, ImageRefusedError, check_image

max_upload_bytes: ContextVar[int] = ContextVar("max_upload_bytes", default=DEFAULT_MAX_UPLOAD_BYTES)
"""The site's MAX_UPLOAD_BYTES, in its requests."""

MORE_BODY_KEY = "opportune.more_body"
"""Where in a request's scope stands by how many bytes its body may be larger than others: in a list, which copies of
the scope share."""

# What a path of any system has before the name, and what no line of text can show.
PATH_PREFIX = re.compile(r".*[/\\]", re.DOTALL)
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
MAX_FILENAME_LENGTH = 100


@dataclass(frozen=True)
class Upload:
    """A file that somebody has sent. A field of this type takes any, one of the type `ImageUpload` only pictures."""

    filename: str
    """For showing and nothing else."""
    content: bytes = field(repr=False)
    content_type: str = "application/octet-stream"
    """Found in the content, whatever the sender says: that of a picture, or this one."""
    fault: str = ""
    """Why no field takes it, in a sentence for the sender."""
    image_fault: str = ""
    """Why a field for pictures does not take it."""

    @property
    def suffix(self) -> str:
        """For the name that it is kept by."""
        return CONTENT_TYPES.get(self.content_type, "bin")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_taken)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "binary"}


def _taken(value: object) -> Upload:
    if not isinstance(value, Upload):
        raise PydanticCustomError("upload_type", "Please choose a file.")
    if value.fault:
        raise PydanticCustomError("upload_fault", "{fault}", {"fault": value.fault})
    return value


def _is_picture(value: Upload) -> Upload:
    if value.image_fault:
        raise PydanticCustomError("upload_fault", "{fault}", {"fault": value.image_fault})
    return value


ImageUpload = Annotated[
    Upload, AfterValidator(_is_picture), Field(json_schema_extra={"contentMediaType": ",".join(CONTENT_TYPES)})
]
"""A picture that can be drawn: `CONTENT_TYPES` has the kinds."""


def allow_files(request: Request) -> None:
    """Let this request's body have files in it; called before anything of it is read."""
    if has_parts(request.headers.get("content-type", "").encode()):
        request.scope.setdefault(MORE_BODY_KEY, [0])[0] = max_upload_bytes.get()


def too_large() -> str:
    """Return the message for a file over the limit."""
    size = max_upload_bytes.get()
    return f"Please choose a file of at most {f'{size / 1e6:.3g} MB' if size >= 1_000_000 else f'{size / 1e3:.3g} kB'}."


def file_attributes() -> dict[str, Attribute]:
    """Return the attributes of a file field, by which the browser refuses a large file before it is sent."""
    return {"data-largest": max_upload_bytes.get(), "data-too-large": too_large()}


def has_parts(content_type: bytes) -> bool:
    """Whether a body of this type can have files in it."""
    return content_type.lower().startswith(b"multipart/form-data")


async def read_upload(file: UploadFile) -> Upload | None:
    """Return the upload of a file field, checked in a thread; None if no file was selected."""
    if not file.filename and not file.size:
        return None
    name = display_name(file.filename or "")
    if (file.size or 0) > max_upload_bytes.get():
        return Upload(name, b"", fault=too_large())
    content = await file.read()
    try:
        return Upload(name, content, await check_image(content))
    except ImageRefusedError as refusal:
        return Upload(name, content, image_fault=str(refusal))


def display_name(filename: str) -> str:
    """A file's name as one harmless line."""
    return UNPRINTABLE.sub("", PATH_PREFIX.sub("", filename)).strip()[:MAX_FILENAME_LENGTH] or "file"
