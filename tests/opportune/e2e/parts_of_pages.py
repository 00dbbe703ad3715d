"""Which pages to look at: what consists of the same parts looks and reads alike, so that one page of each is enough."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeVar

from opportune.search import HtmlElement
from opportune.search.html_parser import TreeParser

Key = TypeVar("Key")

LANDMARKS = {"aside", "footer", "form", "header", "main", "nav", "section"}
FIELDS = {"input", "select", "textarea"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
NAMED_BY_CONTENT = {"a", "button", "label", "legend", "option", "summary", "th", *HEADINGS}
ICON = re.compile(r"ti-[\w-]+")

IGNORED = re.compile(
    r"hx-.*|accept|action|autofocus|class|cols|content|enctype|form|formaction|formmethod|formnovalidate|id|inputmode"
    r"|max|maxlength|method|min|minlength|name|pattern|required|rows|selected|spellcheck|step|value"
)
"""Attributes that change neither the look nor what is read out."""
WORDS = re.compile(r"alt|aria-label|aria-valuetext|data-.*|datetime|href|placeholder|src|srcset|title")
"""Attributes with words of each page's own: what counts is whether there are any."""
REFERENCES = {"aria-controls", "aria-describedby", "aria-labelledby", "for"}
"""Attributes that name ids: what counts is whether these are there."""


def with_all_parts(pages: Mapping[Key, str]) -> list[Key]:
    """Pages that have all parts of all pages, those with most that is new first."""
    parts = {key: set(_parts(html)) for key, html in pages.items()}
    chosen: list[Key] = []
    while parts:
        key = max(parts, key=lambda key: len(parts[key]))
        if not (new := parts.pop(key)):
            break
        chosen.append(key)
        parts = {key: others - new for key, others in parts.items()}
    return chosen


def _parts(html: str) -> Iterator[int]:
    """A number for each element as it looks and is read out, with the looks of all that it stands in."""
    parser = TreeParser()
    parser.feed(html)
    parser.close()
    found = [*_below(parser.open[0], 0)]
    ids = Counter(element.attributes["id"] for element, _ in found if "id" in element.attributes)
    labelled = {element.attributes.get("for") for element, _ in found if element.tag == "label"}
    landmarks: Counter[tuple[str, str | None]] = Counter()
    heading = "h0"
    for element, place in found:
        tag, attributes = element.tag, element.attributes
        label, words = attributes.get("aria-label", ""), _words(element).strip()
        facts = [bool(words), words.casefold() in label.casefold(), ids[attributes.get("id", "")] > 1]
        if tag in FIELDS:
            facts.append(attributes.get("id") in labelled)
        if tag in LANDMARKS:
            landmarks[tag, label] += 1
            facts.append(landmarks[tag, label] > 1)
        after = heading if tag in HEADINGS else ""
        heading = tag if after else heading
        if tag != "script":
            yield hash((place, after, *facts, *_compared_attributes(attributes, ids)))


def _below(around: HtmlElement, place: int) -> Iterator[tuple[HtmlElement, int]]:
    """Each element in its order, and a number for its looks with those of all that it stands in."""
    for element in around.children:
        if not isinstance(element, str):
            looks = frozenset(look for look in element.classes if not ICON.fullmatch(look))
            yield element, (own := hash((place, element.tag, looks)))
            yield from _below(element, own)


def _words(element: HtmlElement) -> str:
    """Of a link, a button or a heading all that it says, of others what stands before their first part."""
    if element.tag in NAMED_BY_CONTENT:
        return _all_words(element)
    first = next(iter(element.children), "")
    return first if isinstance(first, str) and not element.is_silent else ""


def _all_words(element: HtmlElement) -> str:
    return "".join(child if isinstance(child, str) else _all_words(child) for child in element.children)


def _compared_attributes(attributes: Mapping[str, str], ids: Counter[str]) -> Iterator[tuple[str, str | bool]]:
    for name, value in sorted(attributes.items()):
        if name in REFERENCES:
            yield name, all(each in ids for each in value.split())
        elif WORDS.fullmatch(name):
            yield name, bool(value.strip())
        elif not IGNORED.fullmatch(name):
            yield name, value
