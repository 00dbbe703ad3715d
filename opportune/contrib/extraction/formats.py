"""Formats of documents, detected from their content."""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

from opportune.contrib.extraction import markup, office
from opportune.contrib.extraction.pages import MAX_UNPACKED_BYTES, Page, Unreadable

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Beginning of old office files, and of office files with a password."""
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
OFFICE_PARTS: dict[str, Callable[[BytesIO], Iterator[Page]]] = {
    "word/document.xml": office.read_docx,
    "ppt/presentation.xml": office.read_pptx,
    "xl/workbook.xml": office.read_xlsx,
}
HTML = re.compile(r"(?is)\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*+<(?:!doctype html|html|head|body)\b")
CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)
DECLARATIONS = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
DECLARATION_BYTES = 4096
"""Bytes at the start of an XML part. Office programs write no document type, which XML bombs need."""


def is_packed(content: bytes) -> bool:
    """Return whether a file needs a program to be read: it is a PDF or an office file."""
    return b"%PDF-" in content[:1024] or content.startswith((b"PK\x03\x04", OLE))


def open_document(content: bytes, suffix: str) -> tuple[int, Iterator[Page]]:
    """Return the number of pages (0 if it is not known) and the pages.

    Raises:
        Unreadable: The format is not supported, or the file needs a password.
    """
    if not content.strip():
        raise Unreadable("empty")
    if b"%PDF-" in content[:1024]:
        return open_pdf(content)
    if content.startswith(OLE):
        raise Unreadable("locked" if ENCRYPTED_PACKAGE in content else "old")
    if content.startswith(b"PK\x03\x04"):
        return 0, _read_office(content)
    text = _decode(content)
    if HTML.match(text) or suffix in (".html", ".htm"):
        return 0, markup.read_html(text)
    if suffix in (".md", ".markdown"):
        return 0, markup.read_markdown(text)
    return 0, iter([Page(0, "", text)])


def _read_office(content: bytes) -> Iterator[Page]:
    try:
        with ZipFile(BytesIO(content)) as archive:
            names = _check_parts(archive)
    except (BadZipFile, NotImplementedError):
        raise Unreadable("damaged") from None
    read = next((read for part, read in OFFICE_PARTS.items() if part in names), None)
    if read is None:
        raise Unreadable("unknown")
    return read(BytesIO(content))


def _check_parts(archive: ZipFile) -> list[str]:
    """Return the names of the parts. Refuse archives that become too large, and XML with a document type."""
    if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
        raise Unreadable("bomb")
    for part in archive.infolist():
        if part.flag_bits & 1:  # encrypted
            raise Unreadable("locked")
        if part.filename.endswith((".xml", ".rels")):
            with archive.open(part) as file:
                if DECLARATIONS.search(file.read(DECLARATION_BYTES)):
                    raise Unreadable("bomb")
    return archive.namelist()


def _decode(content: bytes) -> str:
    encodings = ["utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"]
    if charset := CHARSET.search(content[:2048]):
        encodings.append(charset[1].decode())
    for encoding in encodings:
        with suppress(UnicodeDecodeError, LookupError):
            text = content.decode(encoding)
            if "\0" not in text:
                return text
    raise Unreadable("unknown")


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
