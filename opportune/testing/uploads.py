"""Files for uploads in tests."""

from io import BytesIO
from typing import Any


def picture(size: tuple[int, int] = (40, 30), kind: str = "PNG", colour: str = "teal", **options: Any) -> bytes:
    """Return a picture of one colour; `options` are those of Pillow for the format."""
    from PIL import Image

    target = BytesIO()
    Image.new("RGB", size, colour).save(target, kind, **options)
    return target.getvalue()


def upload(name: str = "picture.png", content: bytes = b"", media_type: str = "image/png") -> tuple[str, bytes, str]:
    """Return a form file for httpx: `files={"cover": upload()}`. Without content it is a small picture."""
    return name, content or picture(), media_type
