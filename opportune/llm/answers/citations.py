"""Links to cited sources. They point only to sources of the answer, never to an address written by the model."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

PIECE = re.compile(r"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>|[^<]+|<")
TAG = re.compile(r"<(/?)([a-zA-Z0-9]+)")
MARK = re.compile(r"\[(\d{1,3}(?:, ?\d{1,3})*)\]")
"""[1], or [1, 2]."""
MODELS_LINK = re.compile(r"<a\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>\s*\[?(\d{1,3})\]?\s*</a>")
VERBATIM = {"a", "code", "pre"}


def cite(html: Markup, sources: Sequence[Mapping[str, Any]]) -> Markup:
    """Turn `[1]` in sanitized HTML into a link to the first source. Numbers without a source are not changed."""
    if not sources or not ("[" in html or "<a" in html):
        return html
    depth, pieces = 0, []
    for piece in PIECE.findall(MODELS_LINK.sub(r"[\1]", str(html))):
        if tag := TAG.match(piece):
            if tag[2].lower() in VERBATIM:
                depth += -1 if tag[1] else 1
            pieces.append(piece)
        else:
            pieces.append(piece if depth else MARK.sub(lambda match: _links(match, sources), piece))
    return Markup("".join(pieces))  # noqa: S704 - escaped links in sanitized HTML


def _links(match: re.Match[str], sources: Sequence[Mapping[str, Any]]) -> str:
    numbers = [int(number) for number in match[1].split(",")]
    if not all(1 <= number <= len(sources) for number in numbers):
        return match[0]
    return "".join(_link(number, sources[number - 1]) for number in numbers)


def _link(number: int, source: Mapping[str, Any]) -> str:
    return str(
        Markup('<a class="citation" href="{}" title="{}" rel="noopener noreferrer nofollow">[{}]</a>').format(
            source["url"], source["title"], number
        )
    )


def cited(text: str, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the sources that a text cites, with their `number`."""
    numbers = {int(number) for mark in MARK.findall(text) for number in mark.split(",")}
    return [{**source, "number": number} for number, source in enumerate(sources, 1) if number in numbers]


def cited_sources(text: str, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the cited sources with their `number`; all sources if none is cited."""
    if not text:
        return []
    return cited(text, sources) or [{**source, "number": number} for number, source in enumerate(sources, 1)]


def with_sources(text: str, sources: Sequence[Mapping[str, Any]]) -> str:
    """Return an answer as Markdown, followed by its cited sources."""
    lines = [
        f"{source['number']}. [{_plain(source['title'])}](<{source['url']}>)" for source in cited_sources(text, sources)
    ]
    return f"{text}\n\nSources:\n\n" + "\n".join(lines) if lines else text


def _plain(title: str) -> str:
    return re.sub(r"[\[\]<>\\\r\n]", " ", title)
