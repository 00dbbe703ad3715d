"""Folder of HTML pages built by Sphinx, as a source."""

import posixpath
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urldefrag

import nh3

from app.pydocs.documents import Entry
from app.pydocs.schemas import Kind
from app.pydocs.sources.inventory import Inventory, read_inventory
from app.pydocs.sources.pages import Part, read_parts
from opportune.errors import OperatorError

# Pages that only list other pages.
LIST_PAGES = re.compile(r"(?:.*/)?(?:genindex.*|py-modindex|modindex|search|contents)\.html")
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

    def read(self, batches: Iterable[str]) -> Generator[tuple[str, list[Entry] | str], None, None]:
        for page in batches:
            yield page, self._read_page(page)

    def _read_page(self, page: str) -> list[Entry] | str:
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
        symbol, role = self.inventory.symbols.get(f"{self.page}#{anchor}", ("", ""))
        kind: Kind = "module" if role == "py:module" else KINDS.get(part.group, "other")
        if kind == "module":
            self.module = symbol
        elif kind == "section":
            symbol = ""  # sections have their heading as name, also those with a label in the inventory
        name = symbol or heading or anchor or self.page
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
    name, role = inventory.symbols.get(url, ("", ""))
    return name if role.startswith("py:") else url
