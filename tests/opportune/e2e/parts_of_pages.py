"""Which pages to look at: what consists of the same parts looks and reads alike, so that one page of each is enough."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeVar

Key = TypeVar("Key")

UNSEEN = re.compile(r"<!--.*?-->|(?<=>)[^<]*(?=</(?:script|style)>)", re.DOTALL)
TAG = re.compile(r"""<(/?)([a-z][\w-]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>""", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""([\w:@.-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+)))?""")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
LANDMARKS = {"aside", "footer", "form", "header", "main", "nav", "section"}
FIELDS = {"input", "select", "textarea"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
NAMED_BY_CONTENT = {"a", "button", "label", "legend", "option", "summary", "th", *HEADINGS}
ICON = re.compile(r"ti-[\w-]+")

UNTOLD = re.compile(
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
    html = UNSEEN.sub("", html)
    ids = Counter(re.findall(r'\sid="([^"]*)"', html))
    labelled = set(re.findall(r'<label\b[^>]*\sfor="([^"]*)"', html))
    landmarks: Counter[tuple[str, str | None]] = Counter()
    open_tags, places = [""], [0]
    heading = "h0"
    for found in TAG.finditer(html):
        closing, name, told = found.groups()
        tag = name.lower()
        if closing:
            if tag in open_tags:
                at = len(open_tags) - open_tags[::-1].index(tag) - 1
                del open_tags[at:], places[at:]
            continue
        attributes = {key.lower(): a or b or c for key, a, b, c in ATTRIBUTE.findall(told)}
        looks = frozenset(look for look in attributes.get("class", "").split() if not ICON.fullmatch(look))
        place = hash((places[-1], tag, looks))
        label, words = attributes.get("aria-label", ""), _words(html, found.end(), tag)
        facts = [bool(words), words.casefold() in label.casefold(), ids[attributes.get("id", "")] > 1]
        if tag in FIELDS:
            facts.append(attributes.get("id") in labelled)
        if tag in LANDMARKS:
            landmarks[tag, label] += 1
            facts.append(landmarks[tag, label] > 1)
        after = heading if tag in HEADINGS else ""
        heading = tag if after else heading
        if tag != "script":
            yield hash((place, after, *facts, *_told(attributes, ids)))
        if tag not in VOID and not told.endswith("/"):
            open_tags.append(tag)
            places.append(place)


def _words(html: str, start: int, tag: str) -> str:
    """Of a link, a button or a heading all that it says, of others what stands before their first part."""
    end = html.find(f"</{tag}" if tag in NAMED_BY_CONTENT else "<", start)
    return TAG.sub("", html[start:end]).strip()


def _told(attributes: Mapping[str, str], ids: Counter[str]) -> Iterator[tuple[str, str | bool]]:
    for name, value in sorted(attributes.items()):
        if name in REFERENCES:
            yield name, all(each in ids for each in value.split())
        elif WORDS.fullmatch(name):
            yield name, bool(value.strip())
        elif not UNTOLD.fullmatch(name):
            yield name, value
