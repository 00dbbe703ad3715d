"""Selection of pages for accessibility checks: pages of the same parts need only one check."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import TypeVar

from opportune.search import HtmlElement
from opportune.search.html import TreeParser

Key = TypeVar("Key")

LANDMARKS = {"aside", "footer", "form", "header", "main", "nav", "section"}
NO_LANDMARKS_WITHOUT_A_NAME = {"form", "section"}
NAMES_OR_ROLES = {"aria-label", "aria-labelledby", "role"}
FIELDS = {"input", "select", "textarea"}
CHANGED_BY_SCRIPTS = re.compile(r"data-(?!largest|too-large)")
"""Attributes of fields that scripts change."""
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
NAMED_BY_CONTENT = {"a", "button", "label", "legend", "option", "summary", "th", *HEADINGS}
PLAIN = {"dd", "div", "dt", "label", "legend", "li", "p", "span", "td", "time"}
"""Elements that inherit their colour unless a class sets it."""
UNSEEN = {"head", "link", "meta", "noscript", "script", "title"}
ICON = re.compile(r"ti-[\w-]+")

PLACE_AND_SPACE = re.compile(
    r"(m|p)[xytbse]?-.*|d-.*|(col|row|g[xy]?|(column-|row-)?gap|[wh]|align|justify|flex|float|order|min|max)(-.*)?"
    r"|text-(\w\w-)?(end|start|center|nowrap|break|wrap)|(position|overflow|container|page|btn-list)(-.*)?"
    r"|list-unstyled|collapse|show|narrow|visually-hidden|stretched-link"
    r"|details-value|form-check-(label|inline)"
)
"""Classes without effect on colours."""
BARE = re.compile(
    r"card(-(body|title|table|link|actions))?|list-group(-(flush|numbered|item))?|empty(-.*)?|datagrid(-.*)?"
    r"|table(-(vcenter|sm|hover|responsive))?|breadcrumb(-item)?|navbar-nav|nav(-item)?|form-(label|check|hint|switch)"
    r"|hr-text|required|(picker|flowing|fields|all|others|permission-table)"
    r"|card-md|listed|usage|without-script"
)
"""Classes of elements that set no colour or background for their children."""

IGNORED = re.compile(
    r"hx-.*|accept|action|autocomplete|autofocus|checked|class|cols|colspan|content|download|enctype|for|form"
    r"|formaction|formmethod|formnovalidate|height|id|inputmode|list|max|maxlength|method|min|minlength|name|novalidate"
    r"|open|pattern|rel|required|rows|selected|size|spellcheck|step|target|value|width|x|y"
)
"""Attributes without effect on the look and on screen readers."""
TYPED_INTO = {"text", "email", "password", "number", "search", "tel", "url"}
"""Field types with the same look."""
WORDS = re.compile(r"alt|aria-label|aria-valuetext|data-.*|datetime|href|placeholder|src|srcset|title")
"""Attributes with texts, of which only the presence matters."""
OF_COLOURS = {"aria-disabled", "aria-hidden", "disabled", "hidden", "placeholder", "style", "type"}
"""Attributes that allow a low contrast or have a separate style."""
REFERENCES = {"aria-controls", "aria-describedby", "aria-labelledby"}
"""Attributes that refer to ids, of which only the existence matters."""


class Seen(IntEnum):
    """Where a part has to be rendered."""

    ANYWHERE = 0
    """Only colours."""
    ON_ITS_PAGE = 1
    """Accessible name or role, and fields."""
    ONCE_LOADED = 2
    """A field that scripts of the page change. Custom elements change without them."""


def with_all_parts(pages: Mapping[Key, str]) -> dict[Key, Seen]:
    """Return a set of pages that contains all parts, with the way to render the new parts of each.

    Pages to load come first, ordered by the number of new parts.
    """
    parts = {key: set(_parts(html)) for key, html in pages.items()}
    selected: dict[Key, Seen] = {}
    while parts:
        loaded = {key: sum(seen is Seen.ONCE_LOADED for seen, _ in new) for key, new in parts.items()}
        key = max(parts, key=lambda key: (loaded[key], len(parts[key])))
        if not (new := parts.pop(key)):
            break
        selected[key] = max(seen for seen, _ in new)
        parts = {key: others - new for key, others in parts.items()}
    return selected


def _parts(html: str) -> Iterator[tuple[Seen, int]]:
    """Return two hashes for each element: one for screen readers, one for its look in its context.

    No rule of axe needs both.
    """
    parser = TreeParser()
    parser.feed(html)
    parser.close()
    elements = [*_below(parser.stack[0], frozenset())]
    ids = Counter(element.attributes["id"] for element, _ in elements if "id" in element.attributes)
    labelled = {element.attributes.get("for") for element, _ in elements if element.tag == "label"}
    landmarks: Counter[tuple[str, str | None]] = Counter()
    heading = "h0"
    for element, looks in elements:
        tag, attributes = element.tag, element.attributes
        label, words = attributes.get("aria-label"), _words(element).strip()
        landmarks[tag, label] += tag in LANDMARKS
        after = heading if tag in HEADINGS else ""
        heading = tag if after else heading
        is_landmark = tag not in NO_LANDMARKS_WITHOUT_A_NAME or not NAMES_OR_ROLES.isdisjoint(attributes)
        is_odd = ids[attributes.get("id", "")] > 1 or (is_landmark and landmarks[tag, label] > 1)
        says = [
            bool(words),
            label is not None and words.casefold() in label.casefold(),
            tag in FIELDS and (bool(label) or attributes.get("id") in labelled),
        ]
        compared = [*_compared_attributes(attributes, ids)]
        if is_odd or words or compared or tag in FIELDS or tag in NAMED_BY_CONTENT:
            is_changed = tag in FIELDS and any(CHANGED_BY_SCRIPTS.match(name) for name in attributes)
            seen = Seen.ONCE_LOADED if is_changed else Seen.ON_ITS_PAGE
            yield seen, hash((tag, after, is_odd, *says, *compared))
            if tag in FIELDS or (words and tag != "option"):  # axe checks a select, but not its options
                of_colours = ((name, value) for name, value in compared if name in OF_COLOURS)
                yield seen if tag in FIELDS else Seen.ANYWHERE, hash((looks, *of_colours))
            if "autocomplete" in attributes:
                yield Seen.ON_ITS_PAGE, hash((tag, "autocomplete", attributes["autocomplete"]))


def _below(around: HtmlElement, grounds: frozenset[str]) -> Iterator[tuple[HtmlElement, int]]:
    """Yield each visible element with a hash of its look and background."""
    for element in around.children:
        if not isinstance(element, str) and element.tag not in UNSEEN and element.attributes.get("type") != "hidden":
            looks = frozenset(
                look for look in element.classes if not ICON.fullmatch(look) and not PLACE_AND_SPACE.fullmatch(look)
            )
            yield element, hash(("" if element.tag in PLAIN else element.tag, looks, grounds))
            yield from _below(element, grounds.union(look for look in looks if not BARE.fullmatch(look)))


def _words(element: HtmlElement) -> str:
    """Return the whole text of links, buttons and headings, and the leading text of other elements."""
    if element.tag in NAMED_BY_CONTENT:
        return _all_words(element)
    first = next(iter(element.children), "")
    return first if isinstance(first, str) and not element.is_silent else ""


def _all_words(element: HtmlElement) -> str:
    return "".join(child if isinstance(child, str) else _all_words(child) for child in element.children)


def _compared_attributes(attributes: Mapping[str, str], ids: Counter[str]) -> Iterator[tuple[str, str | bool]]:
    for name, value in sorted(attributes.items()):
        if name in REFERENCES:
            yield name, all(id_ in ids for id_ in value.split())
        elif WORDS.fullmatch(name):
            yield name, bool(value.strip())
        elif name == "type":
            yield name, "text" if value in TYPED_INTO else value
        elif not IGNORED.fullmatch(name):
            yield name, value
