"""Slides of PowerPoint files."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from opportune.contrib.extraction.pages import Page, join_cells


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
