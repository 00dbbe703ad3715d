"""Links where an answer cites its sources: to those that came with it, never to an address of the model's making."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

PIECE = re.compile(r"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>|[^<]+|<")
TAG = re.compile(r"<(/?)([a-zA-Z0-9]+)")
MARK = re.compile(r"\[(\d{1,3})\]")
MODELS_LINK = re.compile(r"<a\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>\s*\[?(\d{1,3})\]?\s*</a>")
VERBATIM = {"a", "code", "pre"}


def cite(html: Markup, sources: Sequence[Mapping[str, Any]]) -> Markup:
    """Clean HTML of an answer with `[1]` as a link to its first source; a number without a source stays as it is."""
    if not sources or "[" not in html:
        return html
    depth, pieces = 0, []
    for piece in PIECE.findall(MODELS_LINK.sub(r"[\1]", str(html))):
        if tag := TAG.match(piece):
            if tag[2].lower() in VERBATIM:
                depth += -1 if tag[1] else 1
            pieces.append(piece)
        else:
            pieces.append(piece if depth else MARK.sub(lambda found: _link(found, sources), piece))
    return Markup("".join(pieces))  # noqa: S704 - links of our own in what is clean


def _link(found: re.Match[str], sources: Sequence[Mapping[str, Any]]) -> str:
    number = int(found[1])
    if not 1 <= number <= len(sources):
        return found[0]
    source = sources[number - 1]
    return str(
        Markup('<a class="citation" href="{}" title="{}" rel="noopener noreferrer nofollow">[{}]</a>').format(
            source["url"], source["title"], number
        )
    )


def cited(text: str, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sources that a text cites, with their `number`."""
    numbers = {int(number) for number in MARK.findall(text)}
    return [{**source, "number": number} for number, source in enumerate(sources, 1) if number in numbers]


def cited_sources(text: str, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same, and all of them where it cites none: that is what it was written from."""
    return cited(text, sources) or [{**source, "number": number} for number, source in enumerate(sources, 1)]


def with_sources(text: str, sources: Sequence[Mapping[str, Any]]) -> str:
    """An answer as Markdown, with the sources that it cites below."""
    listed = [f"{each['number']}. [{_plain(each['title'])}](<{each['url']}>)" for each in cited_sources(text, sources)]
    return f"{text}\n\nSources:\n\n" + "\n".join(listed) if listed else text


def _plain(title: str) -> str:
    return re.sub(r"[\[\]<>\\\r\n]", " ", title)
