"""Folder of HTML pages built by Sphinx, as a source."""

import posixpath
import re
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urldefrag

import nh3

from app.pydocs.documents import EntriesOrFault, Entry
from app.pydocs.schemas import Kind
from app.pydocs.sources.pages import Part, read_parts
from opportune.errors import OperatorError

HEADER = b"# Sphinx inventory version 2"
LINE = re.compile(r"(?P<name>.+?)\s+(?P<domain>[^\s:]+):(?P<role>\S+)\s+-?\d+\s+?(?P<uri>\S*)\s+(?P<title>.*)")
MAX_INVENTORY_BYTES = 64 << 20
"""Python's inventory has less than one million bytes."""
LIST_PAGES = re.compile(r"(?:.*/)?(?:genindex.*|py-modindex|modindex|search|contents)\.html")
"""Pages that only list other pages."""
TAGS = nh3.ALLOWED_TAGS - {"area", "img", "map", "span"}
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
CLEANER = nh3.Cleaner(tags=TAGS, attributes=ATTRIBUTES, url_schemes={"http", "https"})
MAX_BODY_LENGTH = 200_000
"""Maximum characters of HTML in one part; longer ones are cut."""
FIRST_SENTENCE = re.compile(r"(?<=[.!?])\s")
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("py function", "py decorator", "c function", "c macro"), "function"),
    **dict.fromkeys(("py method", "py classmethod", "py staticmethod", "py decoratormethod"), "method"),
    **dict.fromkeys(("py attribute", "c member"), "attribute"),
    **dict.fromkeys(("py data", "c var", "c enumerator"), "data"),
    **dict.fromkeys(("py class", "c type", "c struct", "c union", "c enum"), "class"),
    "py property": "property",
    "py exception": "exception",
    "section": "section",
    "term": "term",
}
"""Type of an entry by the group of its part. Other groups have the type `other`."""


class Symbol(NamedTuple):
    """Symbol of the inventory. Anchors without one have an empty symbol."""

    name: str = ""
    role: str = ""
    """Domain and type, such as `py:function`."""


@dataclass
class Inventory:
    """Pages and symbols of a build, from its file objects.inv."""

    title: str
    """Project and version."""
    pages: list[str] = field(default_factory=list)
    """Paths below the folder; empty if the inventory lists no pages."""
    symbols: dict[str, Symbol] = field(default_factory=dict)
    """Symbols by URL, such as `library/os.path.html#os.path.join`."""
    modules: set[str] = field(default_factory=set)

    def add(self, line: str) -> None:
        """Add the page or symbol of a line. Labels, parameters and lines of other formats are ignored."""
        if not (match := LINE.match(line)):
            return
        name = match["name"]
        role = f"{match['domain']}:{match['role']}"
        uri = match["uri"]
        if uri.endswith("$"):  # abbreviation for the name
            uri = uri.removesuffix("$") + name
        if role == "std:doc":
            self.pages.append(uri)
        elif role != "std:label" and not role.endswith("Param"):
            self.symbols[uri] = Symbol(name, role)
            if role == "py:module":
                self.modules.add(name)


def read_inventory(folder: Path) -> Inventory:
    """Read the inventory of a folder.

    Raises:
        OperatorError: The inventory is missing or invalid.
    """
    path = folder / "objects.inv"
    try:
        lines = path.read_bytes().split(b"\n", 4)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read ({error.strerror}). Pass the folder of HTML pages built by Sphinx."
        ) from error
    if len(lines) < 5 or lines[0].strip() != HEADER:
        raise OperatorError(f"{path} is not a Sphinx inventory of version 2. Build the pages again.")
    project_and_version = [line.decode(errors="replace").partition(":")[2].strip()[:100] for line in lines[1:3]]
    inventory = Inventory(" ".join(project_and_version).strip())
    for line in _decompress(lines[4], path).splitlines():
        inventory.add(line)
    return inventory


def _decompress(compressed: bytes, path: Path) -> str:
    decompressor = zlib.decompressobj()
    with suppress(zlib.error):
        content = decompressor.decompress(compressed, MAX_INVENTORY_BYTES)
        if decompressor.eof:
            return content.decode(errors="replace")
    raise OperatorError(f"{path} is damaged, or larger than {MAX_INVENTORY_BYTES >> 20} MiB. Build the pages again.")


class SphinxSource:
    """Pages of a Sphinx build.

    Raises:
        OperatorError: The folder does not exist, or is not a Sphinx build.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise OperatorError(f"There is no folder {folder}. Pass the one with objects.inv and the HTML pages.")
        self.folder = folder
        self.inventory = read_inventory(folder)
        self.title = self.inventory.title or folder.name

    def batches(self) -> list[str]:
        """Return the pages.

        Raises:
            OperatorError: There are no pages.
        """
        listed = self.inventory.pages or [
            path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.html")
        ]
        pages = {page for page in listed if page.endswith(".html") and not LIST_PAGES.fullmatch(page)}
        if not pages:
            raise OperatorError(f"{self.folder} has no HTML pages. Pass the output folder of `sphinx-build -b html`.")
        return sorted(pages)

    def read(self, batches: Iterable[str]) -> Generator[tuple[str, EntriesOrFault], None, None]:
        for page in batches:
            yield page, self._read_page(page)

    def _read_page(self, page: str) -> EntriesOrFault:
        path = self.folder / page
        try:
            if not path.resolve().is_relative_to(self.folder.resolve()):
                return "it is outside the folder"
            text = path.read_text(encoding="utf-8", errors="replace")
            return PageReader(page, self.inventory).read(text) or "it has no sections"
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        except ValueError as error:
            return str(error)


@dataclass
class PageReader:
    """Turns the parts of one page into entries."""

    page: str
    inventory: Inventory
    first_anchor: str = ""
    """Anchor of the page."""
    module: str = ""
    """Module that the page documents, from its entry on."""

    def read(self, text: str) -> list[Entry]:
        """Return the entries of a page.

        Raises:
            ValueError: The markup is invalid.
        """
        parts = read_parts(text, self._rewrite_link)
        self.first_anchor = parts[0].anchor if parts else ""
        return [entry for part in parts for entry in self._create_entries(part) if part.anchor or part.parent is None]

    def _create_entries(self, part: Part) -> Iterator[Entry]:
        """Yield an entry for the part, and one for each alias, which usually has its own signature."""
        headings = [" ".join(title.split()) for title in part.titles or [""]]
        body = CLEANER.clean("".join(part.body)[:MAX_BODY_LENGTH]).strip()
        if not part.anchors:
            yield self._create_entry(part, part.anchor, "\n".join(headings), body)
            return
        for number, anchor in enumerate([part.anchor, *part.anchors]):
            heading = headings[min(number, len(headings) - 1)]
            yield self._create_entry(part, anchor, heading, body)

    def _create_entry(self, part: Part, anchor: str, heading: str, body: str) -> Entry:
        symbol = self.inventory.symbols.get(f"{self.page}#{anchor}", Symbol())
        kind: Kind = "module" if symbol.role == "py:module" else KINDS.get(part.group, "other")
        if kind == "module":
            self.module = symbol.name
        # Sections have their heading as name, also those with a label in the inventory.
        symbol_name = "" if kind == "section" else symbol.name
        name = symbol_name or heading or anchor or self.page
        entry = Entry(self._find_slug(anchor), name, kind, body=body, text="".join(part.text))
        if kind == "module":
            entry.title = heading
        else:
            entry.title = FIRST_SENTENCE.split(entry.text[:200], maxsplit=1)[0]
            entry.signature = heading if entry.is_dotted else ""
        entry.module = self._find_module(entry)
        entry.parent = self._find_slug(part.parent.anchor) if part.parent else ""
        entry.source = f"{self.page}#{anchor}" if anchor else self.page
        return entry

    def _find_module(self, entry: Entry) -> str:
        if entry.kind == "module":
            return ""
        if not entry.is_dotted:
            return self.module or self.page.removesuffix(".html")
        # Of a.b.c these are a.b and a.
        parent_names = (entry.name.rsplit(".", cut)[0] for cut in range(1, entry.name.count(".") + 1))
        return next((name for name in parent_names if name in self.inventory.modules), "")

    def _find_slug(self, anchor: str) -> str:
        """Return the slug of an entry of this page. The first one has the page's, unless it is a symbol."""
        slug = find_slug(self.page, anchor, self.inventory)
        return self.page if anchor in ("", self.first_anchor) and "#" in slug else slug

    def _rewrite_link(self, href: str) -> str:
        """Return the URL of the entry for a link; an empty string for links to remove."""
        if href.startswith(("http://", "https://")):
            return href
        page, anchor = urldefrag(unquote(href))
        target = posixpath.normpath(posixpath.join(posixpath.dirname(self.page), page)) if page else self.page
        if target.startswith(("../", "/")) or not target.endswith(".html"):
            return ""
        return f"/pydocs/{quote(find_slug(target, anchor, self.inventory))}"


def find_slug(page: str, anchor: str, inventory: Inventory) -> str:
    """Return the name of a Python symbol, or the URL of anything else."""
    url = f"{page}#{anchor}" if anchor else page
    symbol = inventory.symbols.get(url, Symbol())
    return symbol.name if symbol.role.startswith("py:") else url
