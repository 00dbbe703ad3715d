"""Split a Sphinx page into sections and object descriptions (`<dl class="py function">`).

Each part excludes the parts nested in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

from opportune.contrib.documents import HtmlElement, parse_main

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
SILENT_CLASSES = {"headerlink", "toctree-wrapper", "linenos"}


@dataclass(eq=False)
class Part:
    """A part of a page, not yet sanitized."""

    anchor: str
    group: str
    """`section`, `term`, or the classes of the description list, such as `py function`."""
    parent: "Part | None" = None
    titles: list[str] = field(default_factory=list)
    """Heading, or signatures of a description."""
    body: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    """Anchors of aliases."""


@dataclass
class PartReader:
    rewrite_link: Callable[[str], str]
    """Returns the new URL of a link; an empty string removes the link."""
    parts: list[Part] = field(default_factory=list)

    def read(self, element: HtmlElement, part: Part | None) -> None:
        """Add the children of an element to its part and to new parts."""
        for child in element.children:
            if not isinstance(child, str):
                self._read_element(child, part)
            elif part:
                part.body.append(escape(child, quote=False))
                part.text.append(child)

    def _read_element(self, element: HtmlElement, part: Part | None) -> None:
        if is_silent(element):
            return
        if element.tag == "section" or (element.tag == "div" and "section" in element.classes):
            self.read(element, self._add_part(element, "section", part))
        elif group := description_group(element):
            self._read_descriptions(element, group, part)
        elif part is None or element.tag == "span":  # syntax highlighting
            self.read(element, part)
        elif element.tag in HEADINGS and part.group == "section" and not part.titles:
            part.titles.append(read_title(element))
        else:
            part.body.append(self._opening_tag(element))
            self.read(element, part)
            if not element.is_void:
                part.body.append(f"</{element.tag}>")

    def _read_descriptions(self, description_list: HtmlElement, group: str, outer_part: Part | None) -> None:
        """Add a part for each description: one or several `<dt>` with signatures, then a `<dd>`."""
        part: Part | None = None
        for child in description_list.children:
            if isinstance(child, str):
                continue
            if child.tag != "dt":
                self.read(child, part or outer_part)
                continue
            anchor = child.attributes.get("id", "")
            is_alias = part is not None and (group != "term" or not part.text)
            if not is_alias and (anchor or part):
                part = self._add_part(child, group, outer_part)
            elif part and anchor:
                part.anchors.append(anchor)
            if part:
                part.titles.append(read_title(child))

    def _add_part(self, element: HtmlElement, group: str, outer_part: Part | None) -> Part:
        part = Part(element.attributes.get("id", ""), group, outer_part)
        self.parts.append(part)
        return part

    def _opening_tag(self, element: HtmlElement) -> str:
        attributes = element.attributes | {"href": self.rewrite_link(element.attributes.get("href", ""))}
        texts = [f'{name}="{escape(value)}"' for name, value in attributes.items() if value]
        return f"<{' '.join([element.tag, *texts])}>"


def description_group(element: HtmlElement) -> str:
    """Return what a description list describes, such as `py function` or `term`, or "" for other lists."""
    classes = element.attributes.get("class", "").split()
    if element.tag != "dl" or "simple" in classes:
        return ""
    if classes == ["glossary"]:
        return "term"
    return " ".join(classes[:2]) if len(classes) > 1 else ""


def is_silent(element: HtmlElement) -> bool:
    return element.is_silent or not SILENT_CLASSES.isdisjoint(element.classes)


def read_title(child: HtmlElement | str) -> str:
    if isinstance(child, str):
        return child
    return "" if is_silent(child) else "".join(map(read_title, child.children))


def read_parts(page: str, rewrite_link: Callable[[str], str]) -> list[Part]:
    """Return the parts of a page in order.

    Raises:
        ValueError: The markup is invalid.
    """
    reader = PartReader(rewrite_link)
    reader.read(parse_main(page), None)
    return reader.parts
