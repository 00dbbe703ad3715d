"""Sections of Word files, slides of PowerPoint files and sheets of Excel files."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from opportune.contrib.extraction.pages import Page, section

OTHER_WORD_TYPES = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
"""Documents with macros, which are not run, and templates. `docx.Document` refuses both."""


def read_docx(file: BytesIO) -> Iterator[Page]:
    """Yield the sections of a Word file, by its headings."""
    from docx.opc.part import PartFactory
    from docx.package import Package
    from docx.parts.document import DocumentPart
    from docx.table import Table

    PartFactory.part_type_for.update(dict.fromkeys(OTHER_WORD_TYPES, DocumentPart))
    heading, lines = "", list[str]()
    document: Any = Package.open(file).main_document_part
    for block in document.document.iter_inner_content():
        if isinstance(block, Table):
            lines += (_join_cells([cell.text for cell in row.cells]) for row in block.rows)
        elif block.style and (block.style.name or "").startswith(("Heading", "Title")):
            yield from section(heading, "\n".join(lines))
            heading, lines = block.text.strip(), []
        else:
            lines.append(block.text)
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
            headings = cells
            yield _join_cells(cells.values())


def _join_cells(cells: Iterable[str]) -> str:
    return " | ".join(cell.strip() for cell in cells if cell.strip())
