"""Selection of pages for accessibility checks: pages of the same parts need only one check."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import TypeVar

from opportune.contrib.documents import HtmlElement
from opportune.contrib.documents.html import TreeParser

Key = TypeVar("Key")

LANDMARKS = {"aside", "footer", "form", "header", "main", "nav", "section"}
NAMES_OR_ROLES = {"aria-label", "aria-labelledby", "role"}
FIELDS = {"input", "select", "textarea"}
CHANGED_BY_SCRIPTS = re.compile(r"data-(?!largest|too-large)")
"""Attributes of fields that scripts change."""
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
NAMED_BY_CONTENT = {"a", "button", "label", "legend", "option", "summary", "th", *HEADINGS}
UNSTYLED_TAGS = {"dd", "div", "dt", "label", "legend", "li", "p", "span", "td", "time"}
"""Elements that inherit their colour unless a class sets it."""
INVISIBLE_TAGS = {"head", "link", "meta", "noscript", "script", "title"}
ICON = re.compile(r"ti-[\w-]+")

LAYOUT_CLASS = re.compile(
    r"(m|p)[xytbse]?-.*|d-.*|(col|row|g[xy]?|(column-|row-)?gap|[wh]|align|justify|flex|float|order|min|max)(-.*)?"
    r"|text-(\w\w-)?(end|start|center|nowrap|break|wrap)|(position|overflow|container|page|btn-list)(-.*)?"
    r"|list-unstyled|collapse|show|narrow|visually-hidden|stretched-link"
    r"|details-value|form-check-(label|inline)"
)
"""Classes without effect on colours."""
CLASS_WITHOUT_BACKGROUND = re.compile(
    r"card(-(body|title|table|link|actions))?|list-group(-(flush|numbered|item))?|empty(-.*)?|datagrid(-.*)?"
    r"|table(-(vcenter|sm|hover|responsive))?|breadcrumb(-item)?|navbar-nav|nav(-item)?|form-(label|check|hint|switch)"
    r"|hr-text|required|(picker|flowing|fields|all|others|permission-table)"
    r"|card-md|listed|usage|without-script"
)
"""Classes of elements that set no colour or background for their children."""

IGNORED_ATTRIBUTE = re.compile(
    r"hx-.*|accept|action|autocomplete|autofocus|checked|class|cols|colspan|content|download|enctype|for|form"
    r"|formaction|formmethod|formnovalidate|height|id|inputmode|list|max|maxlength|method|min|minlength|name|novalidate"
    r"|open|pattern|rel|required|rows|selected|size|spellcheck|step|target|value|width|x|y"
)
"""Attributes without effect on the look and on screen readers."""
TEXT_FIELD_TYPES = {"text", "email", "password", "number", "search", "tel", "url"}
"""Field types with the same look."""
TEXT_ATTRIBUTE = re.compile(r"alt|aria-label|aria-valuetext|data-.*|datetime|href|placeholder|src|srcset|title")
"""Attributes with texts, of which only the presence matters."""
COLOUR_ATTRIBUTES = {"aria-disabled", "aria-hidden", "disabled", "hidden", "placeholder", "style", "type"}
"""Attributes that allow low contrast or change colours."""
REFERENCES = {"aria-controls", "aria-describedby", "aria-labelledby"}
"""Attributes that refer to ids, of which only the existence matters."""


class RenderMode(IntEnum):
    """How a page with new parts has to be rendered."""

    TOGETHER = 0
    """Together with other pages: only the colours differ."""
    ALONE = 1
    """Alone: accessible names, roles or fields differ."""
    LOADED = 2
    """Loaded with its scripts, which change a field. Custom elements need no loading."""


def select_pages(pages: Mapping[Key, str]) -> dict[Key, RenderMode]:
    """Select pages that contain all parts. Return how to render each of them.

    Pages to load come first, ordered by the number of new parts.
    """
    parts = {key: set(_parts(html)) for key, html in pages.items()}
    selected: dict[Key, RenderMode] = {}
    while parts:
        modes = {key: [mode for mode, _ in page_parts] for key, page_parts in parts.items()}
        loaded_parts = {key: page_modes.count(RenderMode.LOADED) for key, page_modes in modes.items()}
        key = max(parts, key=lambda key: (loaded_parts[key], len(parts[key])))
        if not (new_parts := parts.pop(key)):
            break
        selected[key] = max(mode for mode, _ in new_parts)
        parts = {key: page_parts - new_parts for key, page_parts in parts.items()}
    return selected


def _parts(html: str) -> Iterator[tuple[RenderMode, int]]:
    """Yield up to two hashes for each element: one for screen readers, one for its look in its context.

    Each rule of axe depends on only one of them.
    """
    parser = TreeParser()
    parser.feed(html)
    parser.close()
    elements = [*_visible_elements(parser.stack[0], frozenset())]
    ids = Counter(element.attributes["id"] for element, _ in elements if "id" in element.attributes)
    labelled = {element.attributes.get("for") for element, _ in elements if element.tag == "label"}
    landmarks: Counter[tuple[str, str | None]] = Counter()
    heading = "h0"
    for element, look in elements:
        tag, attributes = element.tag, element.attributes
        label, text = attributes.get("aria-label"), _leading_text(element).strip()
        landmarks[tag, label] += tag in LANDMARKS
        previous_heading = heading if tag in HEADINGS else ""
        heading = tag if previous_heading else heading
        is_landmark = tag not in {"form", "section"} or not NAMES_OR_ROLES.isdisjoint(attributes)
        is_invalid = ids[attributes.get("id", "")] > 1 or (is_landmark and landmarks[tag, label] > 1)
        is_labelled = tag in FIELDS and (bool(label) or attributes.get("id") in labelled)
        name_facts = [bool(text), label is not None and text.casefold() in label.casefold(), is_labelled]
        compared = [*_compared_attributes(attributes, ids)]
        if is_invalid or text or compared or tag in FIELDS or tag in NAMED_BY_CONTENT:
            is_changed = tag in FIELDS and any(CHANGED_BY_SCRIPTS.match(name) for name in attributes)
            mode = RenderMode.LOADED if is_changed else RenderMode.ALONE
            yield mode, hash((tag, previous_heading, is_invalid, *name_facts, *compared))
            if tag in FIELDS or (text and tag != "option"):  # axe checks a select, but not its options
                colour_attributes = ((name, value) for name, value in compared if name in COLOUR_ATTRIBUTES)
                yield mode if tag in FIELDS else RenderMode.TOGETHER, hash((look, *colour_attributes))
            if "autocomplete" in attributes:
                yield RenderMode.ALONE, hash((tag, "autocomplete", attributes["autocomplete"]))


def _visible_elements(parent: HtmlElement, backgrounds: frozenset[str]) -> Iterator[tuple[HtmlElement, int]]:
    """Yield each visible element with a hash of its look and background."""
    for element in parent.children:
        if (
            not isinstance(element, str)
            and element.tag not in INVISIBLE_TAGS
            and element.attributes.get("type") != "hidden"
        ):
            look = frozenset(
                class_name
                for class_name in element.classes
                if not ICON.fullmatch(class_name) and not LAYOUT_CLASS.fullmatch(class_name)
            )
            yield element, hash(("" if element.tag in UNSTYLED_TAGS else element.tag, look, backgrounds))
            yield from _visible_elements(
                element,
                backgrounds.union(
                    class_name for class_name in look if not CLASS_WITHOUT_BACKGROUND.fullmatch(class_name)
                ),
            )


def _leading_text(element: HtmlElement) -> str:
    """Return the whole text of links, buttons and headings, and the leading text of other elements."""
    if element.tag in NAMED_BY_CONTENT:
        return _full_text(element)
    first_child = next(iter(element.children), "")
    return first_child if isinstance(first_child, str) and not element.is_silent else ""


def _full_text(element: HtmlElement) -> str:
    return "".join(child if isinstance(child, str) else _full_text(child) for child in element.children)


def _compared_attributes(attributes: Mapping[str, str], ids: Counter[str]) -> Iterator[tuple[str, str | bool]]:
    for name, value in sorted(attributes.items()):
        if name in REFERENCES:
            yield name, all(id_ in ids for id_ in value.split())
        elif TEXT_ATTRIBUTE.fullmatch(name):
            yield name, bool(value.strip())
        elif name == "type":
            yield name, "text" if value in TEXT_FIELD_TYPES else value
        elif not IGNORED_ATTRIBUTE.fullmatch(name):
            yield name, value
