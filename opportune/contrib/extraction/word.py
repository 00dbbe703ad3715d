"""Sections of Word files."""

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

from opportune.contrib.extraction.pages import Page, join_cells, section

OTHER_WORD_TYPES = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
"""Documents with macros, which are not run, and templates. `docx.Document` refuses both."""

PLACEHOLDER = "w:sdt[w:sdtPr/w:showingPlcHdr[not(@w:val='0' or @w:val='false' or @w:val='off')]]"
SIDE_PARTS = ("header", "footer", "footnotes", "endnotes", "comments")
"""Parts beside the body, whose text follows it."""
HIDDEN = f"ancestor::w:moveFrom or ancestor::w:rt or ancestor::{PLACEHOLDER}"
CURRENT_RUNS = f".//w:r[not({HIDDEN} or ancestor::*[local-name()='Fallback'])]"
"""Texts of a paragraph, also of hyperlinks and text boxes, each of which has a copy for old programs.

Readings above the words (ruby) and placeholders of empty fields are left out.
"""


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
    for block, text in _block_texts(part.element.body):
        style = Paragraph(block, part.document).style if block.tag.endswith("}p") else None
        if style and (style.name or "").startswith(("Heading", "Title")):
            yield from section(heading, "\n".join(lines))
            heading = " ".join(text.split())
            lines = []
        else:
            lines.append(text)
    yield from section(heading, "\n".join(lines))
    yield from section("", "\n".join(dict.fromkeys(filter(None, _side_texts(part)))))


def _side_texts(part: Any) -> Iterator[str]:
    """Yield the texts of headers, footers, notes and comments."""
    from docx.oxml import parse_xml

    for rel in part.rels.values():
        if rel.reltype.rpartition("/")[2] in SIDE_PARTS and not rel.is_external:
            with suppress(SyntaxError):  # of lxml; the other parts are readable
                yield from (text.strip() for _, text in _block_texts(parse_xml(rel.target_part.blob)))


def _block_texts(parent: Any) -> Iterator[tuple[Any, str]]:
    """Yield the paragraphs and rows of tables with their texts. Tracked insertions count, and deletions do not."""
    texts_above: dict[int, str] = {}
    for block in _blocks(parent):
        is_row = block.tag.endswith("}tr")
        yield block, _row_text(block, texts_above) if is_row else _paragraph_text(block)


def _blocks(parent: Any) -> Iterator[Any]:
    """Yield the paragraphs and rows of tables, also those in fields of forms and in tracked changes."""
    for element in parent.iterchildren("{*}*"):
        if element.tag.endswith(("}p", "}tr")):
            yield element
        elif not element.tag.endswith("}moveFrom"):
            yield from _blocks(element)


def _row_text(row: Any, texts_above: dict[int, str]) -> str:
    """Return the texts of the cells. A cell that is merged with the one above repeats its text."""
    column = row.grid_before
    texts = []
    for cell in row.xpath("./w:tc | ./w:sdt/w:sdtContent/w:tc"):
        text = "\n".join(text for _, text in _block_texts(cell))
        if cell.xpath("./w:tcPr/w:vMerge[not(@w:val='restart')]"):
            text = text.strip() or texts_above.get(column, "")
        texts_above[column] = text
        texts.append(text)
        column += cell.grid_span
    return join_cells(texts)


def _paragraph_text(paragraph: Any) -> str:
    """Return the text of a paragraph. Paragraphs of its text boxes follow, each on its own line."""
    texts: dict[Any, str] = {paragraph: ""}
    for run in paragraph.xpath(CURRENT_RUNS):
        parent = next(run.iterancestors("{*}p"))
        texts[parent] = texts.get(parent, "") + run.text
    return "\n".join(filter(None, texts.values()))
