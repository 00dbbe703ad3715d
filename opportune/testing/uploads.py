"""Files for uploads in tests."""

from io import BytesIO
from typing import Any


def picture(size: tuple[int, int] = (40, 30), kind: str = "PNG", colour: str = "teal", **options: Any) -> bytes:
    """Return a picture of one colour.

    Args:
        size: Width and height in pixels.
        kind: Format of Pillow, such as `PNG`, `JPEG` or `WEBP`.
        colour: Name of the colour.
        options: Options of Pillow for the format.
    """
    from PIL import Image

    target = BytesIO()
    Image.new("RGB", size, colour).save(target, kind, **options)
    return target.getvalue()


def upload(name: str = "picture.png", content: bytes = b"", media_type: str = "image/png") -> tuple[str, bytes, str]:
    """Return a form file for httpx2: `files={"cover": upload()}`.

    Args:
        name: Name of the file.
        content: Its content. By default a small picture.
        media_type: Its media type.
    """
    return name, content or picture(), media_type
