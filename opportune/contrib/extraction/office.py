"""Office files: archives of XML, which are checked before the reader of their program opens them."""

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import IO
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile, ZipFile

from opportune.contrib.extraction.excel import read_xlsx
from opportune.contrib.extraction.pages import MAX_UNPACKED_BYTES, Page, Unreadable
from opportune.contrib.extraction.powerpoint import read_pptx
from opportune.contrib.extraction.word import read_docx

READERS = {"word/document.xml": read_docx, "ppt/presentation.xml": read_pptx, "xl/workbook.xml": read_xlsx}
"""Readers by the part that each file of their program has."""
CHUNK_BYTES = 4096


def read_office(content: bytes) -> Iterator[Page]:
    """Return the pages of a Word, PowerPoint or Excel file.

    Raises:
        Unreadable: The file is another archive, damaged, encrypted, or would become too large.
    """
    try:
        with ZipFile(BytesIO(content)) as archive:
            _check_parts(archive)
            names = archive.namelist()
    except (BadZipFile, NotImplementedError):
        raise Unreadable("damaged") from None
    read = next((read for part, read in READERS.items() if part in names), None)
    if read is None:
        raise Unreadable("unknown")
    return read(BytesIO(content))


def _check_parts(archive: ZipFile) -> None:
    """Refuse archives that become too large, and XML with entities, by which a small part becomes a large text."""
    if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
        raise Unreadable("bomb")
    is_workbook = "xl/workbook.xml" in archive.namelist()
    for part in archive.infolist():
        if part.flag_bits & 1:  # encrypted
            raise Unreadable("locked")
        if part.filename.endswith(".svg") and not is_workbook:
            continue  # pictures may declare entities, and only openpyxl would expand them
        with archive.open(part) as file:
            _refuse_entities(file)


class _RootFound(Exception):
    """Ends the parsing of a part, because entities are declared before its root element."""


def _refuse_entities(file: IO[bytes]) -> None:
    """Parse a part up to its root element with the parser that openpyxl uses, which would expand entities.

    Pictures and other parts that are no XML for this parser declare none.
    """
    parser = ParserCreate()
    parser.EntityDeclHandler = _refuse_entity
    parser.StartElementHandler = _stop
    # Not XML, or in an encoding that the parser does not know.
    with suppress(_RootFound, ExpatError, LookupError, ValueError):
        while chunk := file.read(CHUNK_BYTES):
            parser.Parse(chunk)


def _refuse_entity(*_: object) -> None:
    raise Unreadable("bomb")


def _stop(*_: object) -> None:
    raise _RootFound
