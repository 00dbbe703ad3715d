"""HTML as a tree, for sources of documents. Based on Python's parser, tolerant like browsers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SILENT = {"script", "style", "template", "head"}
MAX_DEPTH = 100
"""Maximum depth of elements, and of those within the main one, for Python's recursion. Deeper ones become siblings."""
MAX_OPEN = 500
"""Maximum number of open elements, because each end tag searches them. Another one replaces the last."""


@dataclass(eq=False)
class HtmlElement:
    """An element with its attributes and children (elements and texts)."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: "list[HtmlElement | str]" = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    @property
    def is_void(self) -> bool:
        """Whether the element has no end tag."""
        return self.tag in VOID

    @property
    def is_silent(self) -> bool:
        """Whether the element has no visible text."""
        return self.tag in SILENT

    @property
    def elements(self) -> "Iterator[HtmlElement]":
        """All elements within this one, in the order of the page."""
        for child in self.children:
            if isinstance(child, HtmlElement):
                yield child
                yield from child.elements

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class TreeParser(HTMLParser):
    """Parser that builds a tree.

    Attributes:
        stack: Open elements. The first is the root, which contains all elements of the page.
        main: The main element of the page, without a tag until it is found.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack = [HtmlElement("")]
        self.main = HtmlElement("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = HtmlElement(tag, {name: value or "" for name, value in attrs})
        del self.stack[MAX_OPEN:]
        self._parent().children.append(element)
        if not element.is_void:
            self.stack.append(element)
        if not self.main.tag and (tag == "main" or element.attributes.get("role") == "main"):
            self.main = element

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element with this tag. Within the main element, elements around it stay open."""
        outermost = self.stack.index(self.main) if self.main in self.stack else 1  # 0 is the root
        for depth in range(len(self.stack) - 1, outermost - 1, -1):
            if self.stack[depth].tag == tag:
                del self.stack[depth:]
                return

    def handle_data(self, data: str) -> None:
        parent = self._parent()
        follows_start_tag = parent.children[-1:] == self.stack[-1:]
        (self.stack[-1] if follows_start_tag else parent).children.append(data)

    def _parent(self) -> HtmlElement:
        """Return the innermost open element that may have children."""
        start = self.stack.index(self.main) if self.main in self.stack else 0
        return self.stack[min(len(self.stack), start + MAX_DEPTH) - 1]


def parse_page(page: str) -> HtmlElement:
    """Return an element with all elements of a page.

    Raises:
        ValueError: Python's parser rejects the markup.
    """
    return _parse(page).stack[0]


def parse_main(page: str) -> HtmlElement:
    """Return the main element of a page (`<main>` or `role="main"`), or an empty one.

    Raises:
        ValueError: Python's parser rejects the markup.
    """
    return _parse(page).main


def _parse(page: str) -> TreeParser:
    """Parse a page. Unclosed elements end with their parent; end tags without a start tag are ignored."""
    parser = TreeParser()
    try:
        parser.feed(page.replace("\0", ""))
        parser.close()
    except AssertionError as error:  # raised for invalid markup declarations
        raise ValueError(f"its markup is invalid: {error}") from error
    return parser
