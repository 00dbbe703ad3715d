"""Checks uploaded images by their content and re-encodes them before they are shown."""

import asyncio
import struct
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from opportune.errors import Refused
from opportune.i18n import gettext_lazy as _l

if TYPE_CHECKING:
    from PIL import Image

CONTENT_TYPES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}
"""The accepted content types with their suffixes."""
MAX_MEGAPIXELS, MAX_JPEG_MEGAPIXELS = 20, 50
"""Enough for cameras of phones. Decoding takes at most 300 MB, since JPEG is decoded at a smaller size."""

# MPO is a JPEG file with several images, as some phones write it.
FORMATS = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
# Byte strings that a browser or a server could run.
ACTIVE_CONTENT = (b"<script", b"<!doctype", b"<html", b"<?php")
# Errors that Pillow raises for broken files.
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)

UNKNOWN = _l("This is not a picture that we can read. Please choose a JPEG, PNG, WebP or GIF file.")
DAMAGED = _l("This picture is damaged or not complete. Please choose another, or save it again.")
# A lazy text with the limits above, because it is raised in a thread, which has no language.
TOO_MANY_PIXELS = _l("This picture is too large. Please choose one of at most 20 megapixels (50 in a JPEG).")
NOT_ONLY_A_PICTURE = _l("This file holds more than a picture. Please save it as a new picture, and choose that one.")


class ImageRefusedError(ValueError, Refused):
    """The image is not accepted. The message tells the user why."""

    status = 422


async def check_image(content: bytes) -> str:
    """Check that an image can be decoded, and return its content type.

    Raises:
        ImageRefusedError: The file is not an accepted image.
    """
    return await asyncio.get_running_loop().run_in_executor(_executor(), _check, content)


async def shrink(content: bytes, largest: int = 1024, *, kind: Literal["WEBP", "JPEG"] = "WEBP") -> bytes:
    """Re-encode an image upright, with no side longer than `largest` pixels and without metadata.

    In a JPEG, transparent parts become white.

    Raises:
        ImageRefusedError: The image cannot be decoded.
    """
    return await asyncio.get_running_loop().run_in_executor(_executor(), _shrink, content, largest, kind)


@cache
def _executor() -> "ThreadPoolExecutor":
    """Return an executor for one image at a time, since decoding takes much memory and a whole core."""
    return ThreadPoolExecutor(1, "images")


def _check(content: bytes) -> str:
    content_type = FORMATS[_decode(content, 1).format or ""]
    lower = content.lower()
    if any(code in lower for code in ACTIVE_CONTENT) or zipfile.is_zipfile(BytesIO(content)):
        raise ImageRefusedError(NOT_ONLY_A_PICTURE)
    return content_type


def _shrink(content: bytes, largest: int, kind: str) -> bytes:
    from PIL import Image, ImageOps

    small = _in_scalable_mode(_decode(content, largest))
    small.thumbnail((largest, largest))
    with _explained_errors():  # it reads the orientation in the file
        upright = ImageOps.exif_transpose(small)
    upright = _in_srgb(upright)
    upright.info.clear()  # or Pillow would write the colour profile
    if kind == "JPEG" and upright.mode == "RGBA":
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
    target = BytesIO()
    upright.save(target, kind, quality=80)
    return target.getvalue()


def _decode(content: bytes, min_side: int) -> "Image.Image":
    """Return the decoded image. A JPEG is decoded at the smallest size with sides of `min_side`, which is faster."""
    from PIL import Image

    with _explained_errors():
        image = Image.open(BytesIO(content), formats=["JPEG", "PNG", "WEBP", "GIF"])
    _refuse_too_many_pixels(image)
    with _explained_errors():
        image.draft(None, (min_side, min_side))
        image.load()
    return image


@contextmanager
def _explained_errors() -> Iterator[None]:
    """Translate what Pillow raises for broken files. Its errors are so general that the block must only read."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageRefusedError(UNKNOWN) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRefusedError(TOO_MANY_PIXELS) from error
    except DECODING_ERRORS as error:
        raise ImageRefusedError(DAMAGED) from error


def _refuse_too_many_pixels(image: "Image.Image") -> None:
    max_megapixels = MAX_JPEG_MEGAPIXELS if FORMATS[image.format or ""] == "image/jpeg" else MAX_MEGAPIXELS
    if image.width * image.height > max_megapixels * 1_000_000:
        raise ImageRefusedError(TOO_MANY_PIXELS)


def _in_scalable_mode(image: "Image.Image") -> "Image.Image":
    """Convert the image to a mode that can be scaled without loss."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip to 255
        return image.point(lambda shade: shade * (1 / 256)).convert("L")
    has_palette_or_alpha = image.mode in ("P", "PA", "LA") or (image.mode != "RGBA" and image.has_transparency_data)
    return image.convert("RGBA") if has_palette_or_alpha else image


def _in_srgb(image: "Image.Image") -> "Image.Image":
    """Convert the image to the sRGB colour space."""
    from PIL import ImageCms

    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile := image.info.get("icc_profile"):
        with suppress(ImageCms.PyCMSError, OSError):  # the profile is broken or does not fit the mode
            profile_of_image = ImageCms.ImageCmsProfile(BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, profile_of_image, srgb, outputMode=mode) or image
    return image.convert(mode)
