"""Pages of PDF files, with the filled fields of their forms."""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any

from opportune.contrib.extraction.pages import Page, Unreadable

MAX_FIELD_DEPTH = 50
"""Fields above a field, which may be a circle in a damaged file."""


def open_pdf(content: bytes) -> tuple[int, Iterator[Page]]:
    """Return the number of pages and the pages.

    Raises:
        Unreadable: The file needs a password.
    """
    from pypdf import PdfReader

    reader = PdfReader(BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("locked")
    return len(reader.pages), _read_pages(reader)


def _read_pages(reader: Any) -> Iterator[Page]:
    from pypdf.errors import PyPdfError

    damages = (PyPdfError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
    read_fields: set[int] = set()
    for number, page in enumerate(reader.pages, 1):
        texts = []
        with suppress(*damages):
            texts.append(page.extract_text())
        with suppress(*damages):
            for annotation in page.annotations or ():
                with suppress(*damages):
                    texts.append(_read_field(annotation.get_object(), read_fields))
        yield Page(number, "", "\n".join(filter(None, texts)))


def _read_field(widget: Any, read_fields: set[int]) -> str:
    """Return the name and value of a field of a form, which are not part of the page. Empty if it was read before."""
    levels = [widget]
    while "/Parent" in levels[-1] and len(levels) < MAX_FIELD_DEPTH:
        levels.append(levels[-1]["/Parent"])
    field = ChainMap(*levels)
    named_level = next((level for level in levels if "/T" in level), widget)
    texts = _field_texts(field, widget)
    if not texts or id(named_level) in read_fields:
        return ""
    read_fields.add(id(named_level))
    return f"{field.get('/T', '')}: {', '.join(texts)}"


def _field_texts(field: Mapping[str, Any], widget: Any) -> list[str]:
    """Return the texts and choices of a field, and the names of its buttons that are on."""
    is_button = field.get("/FT") == "/Btn"
    if not is_button and field.get("/FT") not in ("/Tx", "/Ch"):
        return []
    value = field.get("/V", widget.get("/AS") if is_button else None)
    values = value if isinstance(value, list) else [value]
    objects = [item.get_object() for item in values if item is not None]
    texts = [text.strip() for text in objects if isinstance(text, str)]
    if is_button:
        texts = [text.removeprefix("/") for text in texts if text != "/Off"]
    return [text for text in texts if text]
