"""Formats of documents, detected from their content, and the readers of their pages and sections."""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from itertools import chain
from typing import Any
from zipfile import BadZipFile, ZipFile

from opportune.contrib.extraction.pages import MAX_UNPACKED_BYTES, Page, Unreadable, join_cells, section
from opportune.contrib.extraction.pdf import open_pdf
from opportune.contrib.extraction.web import read_html
from opportune.contrib.extraction.word import read_docx

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Beginning of old office files, and of office files with a password."""
RTF = b"{\\rtf"
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
HTML = re.compile(r"(?is)\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*+<(?:!doctype html|html|head|body)\b")
CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)
DECLARATIONS = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
DECLARATION_BYTES = 4096
"""Bytes at the start of an XML part. Office programs write no document type, which XML bombs need."""
FENCE = re.compile(r"\s*(?:```|~~~)")
MARKDOWN_HEADING = re.compile(r"#{1,4}\s+(.*)")


def is_packed(content: bytes) -> bool:
    """Return whether a file needs a program to be read: it is a PDF, an office file or RTF."""
    return b"%PDF-" in content[:1024] or content.startswith((b"PK\x03\x04", OLE, RTF))


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
    if content.startswith(b"PK\x03\x04"):
        return 0, _read_office(content)
    text = _decode(content)
    if HTML.match(text) or suffix in (".html", ".htm"):
        return 0, read_html(text)
    if suffix in (".md", ".markdown"):
        return 0, read_markdown(text)
    return 0, iter([Page(0, "", text)])


def _read_office(content: bytes) -> Iterator[Page]:
    try:
        with ZipFile(BytesIO(content)) as archive:
            names = _check_parts(archive)
    except (BadZipFile, NotImplementedError):
        raise Unreadable("damaged") from None
    readers = {"word/document.xml": read_docx, "ppt/presentation.xml": read_pptx, "xl/workbook.xml": read_xlsx}
    read = next((read for part, read in readers.items() if part in names), None)
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


def read_markdown(text: str) -> Iterator[Page]:
    """Yield the sections of a Markdown file as they are written."""
    heading = ""
    lines: list[str] = []
    is_code = False
    for line in text.splitlines():
        if FENCE.match(line):
            is_code = not is_code
        if not is_code and (match := MARKDOWN_HEADING.fullmatch(line)):
            yield from section(heading, "\n".join(lines))
            heading = match[1].strip().rstrip("#").rstrip()
            lines = []
        else:
            lines.append(line)
    yield from section(heading, "\n".join(lines))


def read_pptx(file: BytesIO) -> Iterator[Page]:
    """Yield the slides of a PowerPoint file, with their notes."""
    from pptx import Presentation

    for number, slide in enumerate(Presentation(file).slides, 1):
        title = slide.shapes.title
        texts = list(_shape_texts(slide.shapes))
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame:
            texts.append(slide.notes_slide.notes_text_frame.text)
        yield Page(number, title.text.strip() if title is not None else "", "\n".join(filter(None, texts)))


def _shape_texts(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shape_texts(shape.shapes)
        elif getattr(shape, "has_table", False):
            yield from (join_cells([cell.text for cell in row.cells]) for row in shape.table.rows)
        elif shape.has_text_frame:
            yield shape.text_frame.text


def read_xlsx(file: BytesIO) -> Iterator[Page]:
    """Yield the sheets of an Excel file. Each row is a line, with the headings of its columns."""
    from openpyxl import load_workbook

    workbook = load_workbook(file, read_only=True, data_only=True)
    for sheet in workbook.worksheets:
        sheet.reset_dimensions()  # the file may state wrong ones
        yield Page(0, sheet.title, "\n".join(_sheet_lines(sheet)))


def _sheet_lines(sheet: Any) -> Iterator[str]:
    rows: Iterator[dict[int, Any]] = filter(None, map(_filled_cells, sheet.iter_rows(values_only=True)))
    headings = next(rows, {})
    second = next(rows, {})
    if list(headings) == [0] and len(second) > 1 and all(isinstance(value, str) for value in second.values()):
        yield join_cells(map(str, headings.values()))  # a title
        headings = second
    else:
        rows = chain(filter(None, [second]), rows)
    labels = {column: f"{str(value).strip()}: " for column, value in headings.items()}
    yield join_cells(map(str, headings.values()))
    for cells in rows:
        yield join_cells(f"{labels.get(column, '')}{str(value).strip()}" for column, value in cells.items())


def _filled_cells(values: Iterable[Any]) -> dict[int, Any]:
    return {column: value for column, value in enumerate(values) if value is not None and str(value).strip()}
