"""Links from citations such as [1] to the sources of an answer, never to a URL written by the model."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from opportune.i18n import gettext
from opportune.web import url

TAG_OR_TEXT = re.compile(r"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>|[^<]+|<")
"""Matches a tag with its attributes, a text, or a single <."""
TAG = re.compile(r"<(/?)([a-zA-Z0-9]+)")
MARKUP = re.compile(r"[\[\]<>\\\r\n]")
"""Characters that would end the title of a Markdown link."""
CITATION = re.compile(r"\[(\d{1,3}(?:, ?\d{1,3})*)\]")
"""Matches [1] and [1, 2]."""
LINKED_NUMBER = re.compile(r"<a\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>\s*\[?(\d{1,3})\]?\s*</a>")
"""Matches <a href="…">[1]</a>, also without brackets."""
VERBATIM_TAGS = {"a", "code", "pre"}
"""Elements whose text is never linked."""


def cite(html: Markup, sources: Sequence[Mapping[str, Any]]) -> Markup:
    """Turn `[1]` in sanitized HTML into a link to the first source. Numbers without a source are not changed."""
    if not sources or not ("[" in html or "<a" in html):
        return html
    verbatim_depth = 0
    parts = []
    for part in TAG_OR_TEXT.findall(LINKED_NUMBER.sub(lambda match: _unlink(match, sources), str(html))):
        if tag := TAG.match(part):
            if tag[2].lower() in VERBATIM_TAGS:
                verbatim_depth += -1 if tag[1] else 1
            parts.append(part)
        else:
            parts.append(part if verbatim_depth else CITATION.sub(lambda match: _links(match, sources), part))
    return Markup("".join(parts))  # noqa: S704 - escaped links in sanitized HTML


def _unlink(match: re.Match[str], sources: Sequence[Mapping[str, Any]]) -> str:
    """Return a citation instead of the link that a model has written for it. Other linked numbers stay links."""
    return f"[{match[1]}]" if 1 <= int(match[1]) <= len(sources) else match[0]


def _links(match: re.Match[str], sources: Sequence[Mapping[str, Any]]) -> str:
    numbers = [int(number) for number in match[1].split(",")]
    if not all(1 <= number <= len(sources) for number in numbers):
        return match[0]
    return "".join(_link(number, sources[number - 1]) for number in numbers)


def _link(number: int, source: Mapping[str, Any]) -> str:
    return str(
        Markup('<a class="citation" href="{}" title="{}" rel="noopener noreferrer nofollow">[{}]</a>').format(
            url(source["url"]), source["title"], number
        )
    )


def find_cited(text: str, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the sources that a text cites, with their `number`."""
    numbers = {int(number) for numbers in CITATION.findall(text) for number in numbers.split(",")}
    return [{**source, "number": number} for number, source in enumerate(sources, 1) if number in numbers]


def list_sources(text: str, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the cited sources with their `number`; all sources if none is cited."""
    if not text:
        return []
    return find_cited(text, sources) or [{**source, "number": number} for number, source in enumerate(sources, 1)]


def with_sources(text: str, sources: Sequence[Mapping[str, Any]]) -> str:
    """Return an answer as Markdown, followed by its sources as in `list_sources`."""
    lines = [
        f"{source['number']}. [{MARKUP.sub(' ', source['title'])}](<{source['url']}>)"
        for source in list_sources(text, sources)
    ]
    return f"{text}\n\n{gettext('Sources')}:\n\n" + "\n".join(lines) if lines else text
