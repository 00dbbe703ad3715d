"""Language reference included in Python: keywords and topics of `help("for")`."""

import keyword
import re
from collections.abc import Iterator
from dataclasses import replace
from pydoc import Helper

from app.pydocs.documents import Entry
from app.pydocs.sources.docstrings import create_entry

try:
    from pydoc_data.topics import topics
except ImportError:  # some distributions omit it
    topics = {}  # type: ignore[misc]

SOURCE = "the language reference"
UNDERLINE = re.compile(r"\A[*=]{3,}\n")
SECTION = re.compile(r"\n\n\n(?=[^\n]+\n=+\n)")
KEYWORD_SECTIONS = {"match": ("compound", 'The "match" statement'), "case": ("compound", 'The "match" statement')}
"""Topics and headings of keywords that help() does not have."""


def create_language_entries() -> Iterator[Entry]:
    for name in [*keyword.kwlist, *KEYWORD_SECTIONS]:
        if text := keyword_text(name):
            title, body = split_heading(text)
            yield replace(create_entry(body, f"keyword/{name}", name, "keyword", source=SOURCE), title=title)
    for label, text in topics.items():
        if not keyword.iskeyword(label):
            title, body = split_heading(text)
            yield create_entry(body, f"topic/{label}", title, "topic", source=SOURCE)


def keyword_text(name: str) -> str:
    """Return the text about a keyword; empty for None, True and False."""
    if name in KEYWORD_SECTIONS:
        label, title = KEYWORD_SECTIONS[name]
        sections = SECTION.split(topics.get(label, ""))
        return next((section for section in sections if section.startswith(title)), "")
    # Values are other names, such as `if` for `elif` and BOOLEAN for `and`, or a tuple that begins with the topic.
    target: str | tuple[str, ...] = name
    while isinstance(target, str) and target:
        target = Helper.keywords.get(target) or Helper.topics.get(target) or ""
    return topics.get(target[0], "") if target else ""


def split_heading(text: str) -> tuple[str, str]:
    """Return the heading and the text below it."""
    title, _, body = text.strip().partition("\n")
    return title.replace('"', "").strip(), UNDERLINE.sub("", body)
