"""Valid and hostile images."""

import io
import struct
import zipfile
import zlib
from typing import Any

from PIL import Image, ImageCms

UPRIGHT, LANDSCAPE = (30, 40), (40, 30)
ROTATED, MAKER, GPS = 0x0112, 0x010F, 0x8825
RED, BLUE = (250, 5, 5), (5, 5, 250)


def camera_exif() -> Image.Exif:
    """Return EXIF data with rotation, maker and position."""
    exif = Image.Exif()
    exif[ROTATED], exif[MAKER] = 6, "Secret camera"
    exif[GPS] = {1: "N", 2: (48.0, 8.0, 0.0)}
    return exif


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def draw_image(size: tuple[int, int] = LANDSCAPE, mode: str = "RGB") -> Image.Image:
    """Return an image with a red left half and a blue right half."""
    image = Image.new("RGB", size, BLUE)
    image.paste(RED, (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


def encode_image(image: Image.Image, format_: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def photo(format_: str = "JPEG", **options: Any) -> bytes:
    return encode_image(draw_image(), format_, exif=camera_exif(), icc_profile=profile(), **options)


def decode_image(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def decompression_bomb(side: int) -> bytes:
    """Return a small PNG whose header declares `side` pixels in each direction."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + _chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_archive(content: bytes) -> bytes:
    """Return an image that is also a ZIP file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("program.py", "")
    return content + file.getvalue()


def _chunk(type_: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + type_ + content + struct.pack(">I", zlib.crc32(type_ + content))
