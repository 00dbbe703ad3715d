"""Docstrings as entries: paragraphs are reflowed, preformatted text is kept."""

import re

from markupsafe import escape

from app.pydocs.documents import Entry
from app.pydocs.schemas import Kind

BLANK_LINES = re.compile(r"\n\s*\n")
HEADING = re.compile(r"([^\n]+)\n([-=*~^\"])\2{2,}\s*")
PREFORMATTED = re.compile(r"^(?:\s|>>>|[-+*] |-{2}|[=|#]|\d+[.)])", re.MULTILINE)


def create_entry(doc: str, slug: str, name: str, kind: Kind, **fields: str) -> Entry:
    return Entry(slug, name, kind, body=to_html(doc), title=first_line(doc, name), text=doc, **fields)


def to_html(doc: str) -> str:
    """Return a dedented docstring as escaped HTML."""
    blocks: list[tuple[str, str]] = []
    for block in BLANK_LINES.split(doc.expandtabs().strip("\n")):
        tag = "pre" if PREFORMATTED.search(block) else "p"
        if heading := HEADING.fullmatch(block):
            blocks.append(("h2", heading[1]))
        elif tag == "pre" and blocks and blocks[-1][0] == "pre":  # one block with blank lines
            blocks[-1] = tag, f"{blocks[-1][1]}\n\n{block}"
        elif block.strip():
            blocks.append((tag, block))
    return "\n".join(f"<{tag}>{escape(block)}</{tag}>" for tag, block in blocks)


def first_line(doc: str, name: str) -> str:
    """Return the first line, without the signature at the start of docstrings of C functions."""
    short_name = name.rpartition(".")[2]
    lines = (line.strip() for line in doc.splitlines())
    return next((line for line in lines if line and not line.startswith(f"{short_name}(")), "")[:200]
