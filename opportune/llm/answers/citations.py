"""Links where an answer cites its sources: to those that came with it, never to an address of the model's making."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

PIECE = re.compile(r"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>|[^<]+|<")
TAG = re.compile(r"<(/?)([a-zA-Z0-9]+)")
MARK = re.compile(r"\[(\d{1,3}(?:, ?\d{1,3})*)\]")
"""[1], and [1, 2] as models write it too."""
MODELS_LINK = re.compile(r"<a\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>\s*\[?(\d{1,3})\]?\s*</a>")
VERBATIM = {"a", "code", "pre"}


def cite(html: Markup, sources: Sequence[Mapping[str, Any]]) -> Markup:
    """Clean HTML of an answer with `[1]` as a link to its first source; a number without a source stays as it is."""
    if not sources or not ("[" in html or "<a" in html):
        return html
    depth, pieces = 0, []
    for piece in PIECE.findall(MODELS_LINK.sub(r"[\1]", str(html))):
        if tag := TAG.match(piece):
            if tag[2].lower() in VERBATIM:
                depth += -1 if tag[1] else 1
            pieces.append(piece)
        else:
            pieces.append(piece if depth else MARK.sub(lambda found: _links(found, sources), piece))
    return Markup("".join(pieces))  # noqa: S704 - links of our own in what is clean


def _links(found: re.Match[str], sources: Sequence[Mapping[str, Any]]) -> str:
    numbers = [int(number) for number in found[1].split(",")]
    if not all(1 <= number <= len(sources) for number in numbers):
        return found[0]
    return "".join(_link(number, sources[number - 1]) for number in numbers)


def _link(number: int, source: Mapping[str, Any]) -> str:
    return str(
        Markup('<a class="citation" href="{}" title="{}" rel="noopener noreferrer nofollow">[{}]</a>').format(
            source["url"], source["title"], number
        )
    )


def cited(text: str, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sources that a text cites, with their `number`."""
    numbers = {int(number) for found in MARK.findall(text) for number in found.split(",")}
    return [{**source, "number": number} for number, source in enumerate(sources, 1) if number in numbers]


def cited_sources(text: str, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same, and all of them where it cites none: that is what it was written from."""
    if not text:
        return []
    return cited(text, sources) or [{**source, "number": number} for number, source in enumerate(sources, 1)]


def with_sources(text: str, sources: Sequence[Mapping[str, Any]]) -> str:
    """An answer as Markdown, with the sources that it cites below."""
    listed = [f"{each['number']}. [{_plain(each['title'])}](<{each['url']}>)" for each in cited_sources(text, sources)]
    return f"{text}\n\nSources:\n\n" + "\n".join(listed) if listed else text


def _plain(title: str) -> str:
    return re.sub(r"[\[\]<>\\\r\n]", " ", title)
