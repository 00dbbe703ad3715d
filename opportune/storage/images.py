"""Pictures from strangers: looked at by their content, and drawn anew before they are shown."""

import asyncio
import struct
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image

CONTENT_TYPES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}
"""The kinds that are taken, with the suffix of each."""
MAX_MEGAPIXELS, MAX_JPEG_MEGAPIXELS = 20, 50
"""What the cameras of telephones take. Either takes 300 MB to be drawn: JPEG is drawn small from the start."""

# Pillow names a picture of several, as some telephones take them, by a name of its own.
FORMATS = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
# Bytes that a browser or a server could run, anywhere in a file.
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

UNKNOWN = "This is not a picture that we can read. Please choose a JPEG, PNG, WebP or GIF file."
DAMAGED = "This picture is damaged or not complete. Please choose another, or save it again."
TOO_MANY_PIXELS = (
    f"This picture is too large. Please choose one of at most {MAX_MEGAPIXELS} megapixels "
    f"({MAX_JPEG_MEGAPIXELS} in a JPEG)."
)
NOT_ONLY_A_PICTURE = "This file holds more than a picture. Please save it as a new picture, and choose that one."


class ImageRefusedError(ValueError):
    """A picture that is not taken; the message says why to the person who sent it."""


async def check_image(content: bytes) -> str:
    """Check that a picture can be drawn, and give its content type.

    Raises:
        ImageRefusedError: it is none.
    """
    return await asyncio.get_running_loop().run_in_executor(_artist(), _check, content)


async def shrink(content: bytes, largest: int = 1024, *, kind: Literal["WEBP", "JPEG"] = "WEBP") -> bytes:
    """Redraw a picture, upright, with neither side longer than that, and without what else was in the file.

    A JPEG can be read by any program; transparent parts become white.

    Raises:
        ImageRefusedError: it cannot be drawn.
    """
    return await asyncio.get_running_loop().run_in_executor(_artist(), _shrink, content, largest, kind)


@cache
def _artist() -> "ThreadPoolExecutor":
    """One picture at a time: drawing takes much memory, and all of one core."""
    return ThreadPoolExecutor(1, "images")


def _check(content: bytes) -> str:
    with _opened(content) as image:
        kind = FORMATS[image.format or ""]
        _draw(image, 1)
    lower = content.lower()
    if any(program in lower for program in ACTIVE_CONTENT) or zipfile.is_zipfile(BytesIO(content)):
        raise ImageRefusedError(NOT_ONLY_A_PICTURE)
    return kind


def _shrink(content: bytes, largest: int, kind: str) -> bytes:
    from PIL import Image, ImageOps

    with _opened(content) as image:
        _draw(image, largest)
        small = _in_usual_mode(image)
        small.thumbnail((largest, largest))
        upright = _in_srgb(ImageOps.exif_transpose(small))
        upright.info.clear()  # Pillow would write a profile that it finds there
        if kind == "JPEG" and upright.mode == "RGBA":
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
        target = BytesIO()
        upright.save(target, kind, quality=80)
    return target.getvalue()


@contextmanager
def _opened(content: bytes) -> "Iterator[Image.Image]":
    """A picture of which only the header has been read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(content), formats=["JPEG", "PNG", "WEBP", "GIF"]) as image:
            _refuse_bomb(image)
            yield image
    except ImageRefusedError:
        raise
    except UnidentifiedImageError as error:
        raise ImageRefusedError(UNKNOWN) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRefusedError(TOO_MANY_PIXELS) from error
    except DECODING_ERRORS as error:
        raise ImageRefusedError(DAMAGED) from error


def _refuse_bomb(image: "Image.Image") -> None:
    most = MAX_JPEG_MEGAPIXELS if FORMATS[image.format or ""] == "image/jpeg" else MAX_MEGAPIXELS
    if image.width * image.height > most * 1_000_000:
        raise ImageRefusedError(TOO_MANY_PIXELS)


def _draw(image: "Image.Image", least: int) -> None:
    """Decode it all; a JPEG no larger than is needed for sides of `least`, which takes an eighth of the time."""
    image.draft(None, (least, least))
    image.load()


def _in_usual_mode(image: "Image.Image") -> "Image.Image":
    """One that can be made smaller without loss."""
    if image.mode.startswith("I"):  # 65,536 shades of grey, of which Pillow's own conversion takes the darkest 256
        return image.point(lambda shade: shade * (1 / 256)).convert("L")
    has_more = image.mode in ("P", "PA", "LA") or (image.mode != "RGBA" and image.has_transparency_data)
    return image.convert("RGBA") if has_more else image


def _in_srgb(image: "Image.Image") -> "Image.Image":
    """In the colours that every screen takes it to be in."""
    from PIL import ImageCms

    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile := image.info.get("icc_profile"):
        try:
            own, screen = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, own, screen, outputMode=mode)
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that is broken, or of another kind of picture
        else:
            return converted or image
    return image.convert(mode)
