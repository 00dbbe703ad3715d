"""Pages of a PDF."""

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

from opportune.contrib.extraction.pages import Page, Unreadable


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

    for number, page in enumerate(reader.pages, 1):
        text = ""
        with suppress(PyPdfError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            text = page.extract_text()
        yield Page(number, "", text)
