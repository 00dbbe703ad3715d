"""Docstrings as pieces: paragraphs flow, and what is laid out by hand stays as it is."""

import re

from markupsafe import escape

from app.pydocs.documents import Piece
from app.pydocs.schemas import Kind

BLANK_LINES = re.compile(r"\n\s*\n")
HEADING = re.compile(r"([^\n]+)\n([-=*~^\"])\2{2,}\s*")
LAID_OUT = re.compile(r"^(?:\s|>>>|[-+*] |-{2}|[=|#]|\d+[.)])", re.MULTILINE)


def piece_of(doc: str, slug: str, name: str, kind: Kind, **more: str) -> Piece:
    return Piece(slug, name, kind, body=to_html(doc), title=first_line(doc, name), text=doc, **more)


def to_html(doc: str) -> str:
    """Safe HTML of a docstring without its indentation."""
    blocks: list[tuple[str, str]] = []
    for block in BLANK_LINES.split(doc.expandtabs().strip("\n")):
        tag = "pre" if LAID_OUT.search(block) else "p"
        if heading := HEADING.fullmatch(block):
            blocks.append(("h2", heading[1]))
        elif blocks and tag == blocks[-1][0] == "pre":
            blocks[-1] = tag, f"{blocks[-1][1]}\n\n{block}"
        elif block.strip():
            blocks.append((tag, block))
    return "\n".join(f"<{tag}>{escape(block)}</{tag}>" for tag, block in blocks)


def first_line(doc: str, name: str) -> str:
    """The first line that says something: not the signature that C functions begin with."""
    last = name.rpartition(".")[2]
    lines = (line.strip() for line in doc.splitlines())
    return next((line for line in lines if line and not line.startswith(f"{last}(")), "")[:200]
