"""Formats of documents, detected from their content."""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from contextlib import suppress

from opportune.contrib.extraction.markdown import read_markdown
from opportune.contrib.extraction.office import read_office
from opportune.contrib.extraction.pages import Page, Unreadable
from opportune.contrib.extraction.pdf import open_pdf
from opportune.contrib.extraction.signatures import OLE, RTF, ZIP
from opportune.contrib.extraction.web import read_html

ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
HTML = re.compile(r"(?is)\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*+<(?:!doctype html|html|head|body)\b")
CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)


def open_document(content: bytes, suffix: str) -> tuple[int, Iterator[Page]]:
    """Return the number of pages (0 if it is not known) and the pages.

    Raises:
        Unreadable: The format is not supported, or the file needs a password.
    """
    if not content.strip():
        raise Unreadable("empty")
    if b"%PDF-" in content[:1024]:
        return open_pdf(content)
    if content.startswith((OLE, RTF)):
        raise Unreadable("locked" if ENCRYPTED_PACKAGE in content else "old")
    if content.startswith(ZIP):
        return 0, read_office(content)
    text = _decode(content)
    if HTML.match(text) or suffix in (".html", ".htm"):
        return 0, read_html(text)
    if suffix in (".md", ".markdown"):
        return 0, read_markdown(text)
    return 0, iter([Page(0, "", text)])


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
