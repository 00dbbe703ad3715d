"""Formats of documents, detected from their content, and the readers of their pages and sections."""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

from opportune.contrib.extraction.pages import MAX_UNPACKED_BYTES, Page, Unreadable, section

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Beginning of old office files, and of office files with a password."""
RTF = b"{\\rtf"
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
HTML = re.compile(r"(?is)\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*+<(?:!doctype html|html|head|body)\b")
CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)
DECLARATIONS = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
DECLARATION_BYTES = 4096
"""Bytes at the start of an XML part. Office programs write no document type, which XML bombs need."""
SILENT = {"script", "style", "template", "noscript", "svg", "nav", "footer", "select", "iframe", "object"}
HEADINGS = {"h1", "h2", "h3", "h4"}
INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "i", "kbd", "mark", "q", "s", "small", "span", "strong"}
INLINE |= {"sub", "sup", "time", "u", "wbr", "font", "var", "samp", "del", "ins"}
SEPARATORS = {"br": "\n", "li": "\n", "tr": "\n", "td": "\0", "th": "\0"}
CELL = re.compile(r" *(\n|\A)?\s*\0")
"""Beginning of a cell, the first of a row or another one."""
BLANK = re.compile(r"[ \t\r\f\v\xa0]+")
BLANK_LINES = re.compile(r" ?\n[ \n]*\n ?")
FENCE = re.compile(r"\s*(?:```|~~~)")
MARKDOWN_HEADING = re.compile(r"#{1,4}\s+(.*)")
OTHER_WORD_TYPES = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
"""Documents with macros, which are not run, and templates. `docx.Document` refuses both."""

CURRENT_RUNS = ".//w:r[not(ancestor::w:moveFrom or ancestor::*[local-name()='Fallback'])]"
"""Texts of a paragraph in Word, also of hyperlinks and text boxes, each of which has a copy for old programs."""


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
            text = "\n".join(filter(None, [page.extract_text(), *_filled_fields(page)]))
        yield Page(number, "", text)


def _filled_fields(page: Any) -> Iterator[str]:
    """Yield the names and values of the fields of a form, whose texts are not part of the page."""
    for annotation in page.annotations or ():
        field = annotation.get_object()
        if "/V" not in field and "/Parent" in field:
            field = field["/Parent"]
        if field.get("/FT") in ("/Tx", "/Ch") and "/V" in field and isinstance(value := field["/V"], str):
            yield f"{field.get('/T', '')}: {value}"


class SectionParser(HTMLParser):
    """Collects the visible text of each section. Scripts and navigation are left out, and nothing is executed."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[tuple[str, list[str]]] = [("", [])]
        self.title = ""
        self._silent_depth = 0
        self._text: list[str] = self.sections[0][1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in SILENT:
            self._silent_depth += 1
        elif self._silent_depth:
            return
        elif tag in HEADINGS or tag == "title":
            self._text = []
        elif tag not in INLINE:
            self._text.append(SEPARATORS.get(tag, "\n\n"))

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent_depth = max(0, self._silent_depth - 1)
        elif self._silent_depth:
            return
        elif tag == "title":
            self.title = self.title or " ".join("".join(self._text).split())
            self._text = self.sections[-1][1]
        elif tag in HEADINGS:
            self.sections.append((" ".join("".join(self._text).split()), []))
            self._text = self.sections[-1][1]
        elif tag not in INLINE | SEPARATORS.keys():
            self._text.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._silent_depth:
            self._text.append(data.replace("\n", " "))


def read_html(text: str) -> Iterator[Page]:
    """Yield the sections of a page. The first heading is its title."""
    parser = SectionParser()
    parser.feed(text.replace("\0", ""))
    parser.close()
    for index, (heading, texts) in enumerate(parser.sections):
        body = BLANK_LINES.sub("\n\n", BLANK.sub(" ", "".join(texts)))
        body = CELL.sub(lambda cell: " | " if cell[1] is None else cell[1], body).strip()
        yield from section(heading or (parser.title if index == 0 and body else ""), body)


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


def read_docx(file: BytesIO) -> Iterator[Page]:
    """Yield the sections of a Word file, by its headings."""
    from docx.opc.part import PartFactory
    from docx.package import Package
    from docx.parts.document import DocumentPart
    from docx.text.paragraph import Paragraph

    PartFactory.part_type_for.update(dict.fromkeys(OTHER_WORD_TYPES, DocumentPart))
    heading = ""
    lines: list[str] = []
    part: Any = Package.open(file).main_document_part
    for block in _docx_blocks(part.element.body):
        style = Paragraph(block, part.document).style if block.tag.endswith("}p") else None
        if style and (style.name or "").startswith(("Heading", "Title")):
            yield from section(heading, "\n".join(lines))
            heading = _docx_text(block).strip()
            lines = []
        else:
            lines.append(_docx_text(block))
    yield from section(heading, "\n".join(lines))


def _docx_blocks(parent: Any) -> Iterator[Any]:
    """Yield the paragraphs and rows of tables, also those in fields of forms and in tracked changes."""
    for element in parent.iterchildren("{*}*"):
        if element.tag.endswith(("}p", "}tr")):
            yield element
        elif not element.tag.endswith("}moveFrom"):
            yield from _docx_blocks(element)


def _docx_text(block: Any) -> str:
    """Return the text of a paragraph, or of the cells of a row. Tracked insertions count, and deletions do not."""
    if block.tag.endswith("}tr"):
        cells = block.xpath("./w:tc | ./w:sdt/w:sdtContent/w:tc")
        return _join_cells("\n".join(map(_docx_text, _docx_blocks(cell))) for cell in cells)
    return "".join(run.text for run in block.xpath(CURRENT_RUNS))


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
            yield from (_join_cells([cell.text for cell in row.cells]) for row in shape.table.rows)
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
    headings: dict[int, str] = {}
    for values in sheet.iter_rows(values_only=True):
        texts = {column: str(value).strip() for column, value in enumerate(values) if value is not None}
        cells = {column: text for column, text in texts.items() if text}
        if headings:
            labelled = (f"{headings[column]}: {text}" if column in headings else text for column, text in cells.items())
            yield from filter(None, [_join_cells(labelled)])
        elif cells:
            headings = cells if len(cells) > 1 else {}  # a title
            yield _join_cells(cells.values())


def _join_cells(cells: Iterable[str]) -> str:
    return " | ".join(cell.strip() for cell in cells if cell.strip())
