"""A Sphinx page in pieces: a parser that is fed as the file is read, and forgives what browsers forgive.

A section or a described object (`<dl class="py function">`) is a piece from where it begins to where it ends or another
begins inside; what it holds itself goes into its body.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SILENT = {"script", "style", "template", "head"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
ANOTHER = "\f"
"""Between the signatures of one description."""
LONGEST_BODY = 200_000
"""Characters of HTML in one piece; the rest is left out."""

# What carries a meaning that is worth showing; code is coloured by many others.
CLASSES = {"admonition", "admonition-title", "highlight", "note", "warning", "versionadded", "versionchanged"}
CLASSES |= {"deprecated", "seealso", "versionmodified", "line", "line-block", "field-list"}
NUMBERS = ("start", "colspan", "rowspan")

Attributes = dict[str, str]


@dataclass(eq=False)
class Part:
    """A piece as it is found: nothing in it is safe yet."""

    anchor: str
    group: str
    """`section`, `term`, or the classes of the list that describes it: `py function`."""
    parent: "Part | None" = None
    title: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    size: int = 0
    anchors: list[str] = field(default_factory=list)
    """Other names of the same."""

    def add(self, html: str) -> None:
        self.size += len(html)
        if self.size < LONGEST_BODY:
            self.body.append(html)


@dataclass(eq=False)
class Opened:
    """An element that is open, and the part that ends with it."""

    tag: str
    part: Part | None = None
    group: str = ""
    """Of a `<dl>` that describes objects or terms."""
    is_written: bool = False


class PageParser(HTMLParser):
    """Feed it, close it, and take `parts`. `address` is what a link becomes, or nothing."""

    def __init__(self, address: Callable[[str], str]) -> None:
        super().__init__()
        self.address = address
        self.parts: list[Part] = []
        self._open: list[Opened] = []
        self._part: Part | None = None
        self._title: Part | None = None
        """The part whose heading or signature is being read."""
        self._title_end = ""
        self._main = 0
        """How deep the page's own text is; 0 outside."""
        self._silent = 0
        """How deep something is that is not text."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in VOID:
            self._write(f"<{tag}>")
            return
        opened = Opened(tag)
        self._open.append(opened)
        if not self._main:
            self._main = len(self._open) if given.get("role") == "main" or tag == "main" else 0
        elif not self._silent and (tag in SILENT or _is_decoration(given)):
            self._silent = len(self._open)
        elif not self._silent:
            self._begin(opened, given)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        depth = next((i for i in range(len(self._open), 0, -1) if self._open[i - 1].tag == tag), 0)
        if depth < self._main:
            depth = 0  # what ends something around the text was meant for something inside
        while depth and len(self._open) >= depth:
            self._end()

    def handle_data(self, data: str) -> None:
        if not self._main or self._silent:
            return
        if self._title:
            self._title.title.append(data)
        else:
            self._write(escape(data, quote=False))
            if self._part:
                self._part.text.append(data)

    def close(self) -> None:
        super().close()
        while self._open:
            self._end()

    def _begin(self, opened: Opened, given: Attributes) -> None:
        classes = given.get("class", "").split()
        tag, anchor = opened.tag, given.get("id", "")
        if tag == "section" or (tag == "div" and "section" in classes):
            self._begin_part(opened, anchor, "section")
        elif tag == "dl" and len(classes) > 1 and "simple" not in classes:
            opened.group = " ".join(classes[:2])
        elif tag == "dl" and "glossary" in classes:
            opened.group = "term"
        elif tag == "dt" and self._begins_object(anchor):
            self._begin_object(opened, anchor)
        elif tag in HEADINGS and self._part and self._part.group == "section" and not self._part.title:
            self._title, self._title_end = self._part, tag
        elif not self._is_wrapping(opened, given):
            opened.is_written = True
            self._write(f"<{tag}{self._kept(given)}>")

    def _is_wrapping(self, opened: Opened, given: Attributes) -> bool:
        """Whether it only holds what is shown."""
        if opened.tag == "dd":
            around = self._open[-2]
            return bool(around.part or around.group)
        return opened.tag == "span" and "versionmodified" not in given.get("class", "")

    def _kept(self, given: Attributes) -> str:
        kept = {name: given[name] for name in NUMBERS if name in given}
        if (href := given.get("href")) and (address := self.address(href)):
            kept["href"] = address
        if classes := CLASSES.intersection(given.get("class", "").split()):
            kept["class"] = " ".join(sorted(classes))
        return "".join(f' {name}="{escape(value)}"' for name, value in kept.items())

    def _list(self) -> Opened:
        """The innermost list."""
        return next((opened for opened in reversed(self._open) if opened.tag == "dl"), Opened("dl"))

    def _begins_object(self, anchor: str) -> bool:
        innermost = self._list()
        return bool(innermost.group and (anchor or innermost.part))

    def _begin_part(self, opened: Opened, anchor: str, group: str) -> None:
        self._part = opened.part = Part(anchor, group, self._part)
        self.parts.append(self._part)

    def _begin_object(self, opened: Opened, anchor: str) -> None:
        """A signature: of a new part, or another one of that which has no description yet."""
        described = self._list()
        part, group = described.part, described.group
        if part and (group != "term" or not part.text):
            part.anchors += [anchor] if anchor else []
            part.title.append(ANOTHER)
        else:
            if part:  # a glossary's term ends where the next begins
                self._part = part.parent
            self._begin_part(described, anchor, group)
        self._title, self._title_end = self._part, opened.tag

    def _end(self) -> None:
        opened = self._open.pop()
        if self._title and opened.tag == self._title_end:
            self._title = None
        elif opened.part:
            self._part, self._title = opened.part.parent, None
        elif opened.is_written:
            self._write(f"</{opened.tag}>")
        depth = len(self._open) + 1
        self._silent = 0 if depth == self._silent else self._silent
        self._main = 0 if depth == self._main else self._main

    def _write(self, html: str) -> None:
        if self._part and self._main and not self._silent and not self._title:
            self._part.add(html)


def _is_decoration(given: Attributes) -> bool:
    classes = given.get("class", "").split()
    return "headerlink" in classes or "toctree-wrapper" in classes or "linenos" in classes


def read_parts(chunks: Iterator[str], address: Callable[[str], str]) -> list[Part]:
    """The parts of a page, in their order.

    Raises:
        ValueError: Python's parser cannot go on with it.
    """
    parser = PageParser(address)
    try:
        for chunk in chunks:
            parser.feed(chunk.replace("\0", ""))
        parser.close()
    except AssertionError as error:  # what it says to markup declarations that make no sense
        raise ValueError(f"its markup makes no sense: {error}") from error
    return parser.parts
