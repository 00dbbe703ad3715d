"""Pages of the documentation, their sections, and the search in them.

The pages are part of the package, and in a clone the folder docs/. The index of the search is built on first use, in a
temporary folder.
"""

import asyncio
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import quote

from opportune.config.settings import Settings
from opportune.contrib.documents import MAX_TEXT_LENGTH, Document, DocumentHit, DocumentIndex, DocumentSearch
from opportune.contrib.documents.sqlite import SQLiteEngine, SQLiteStore
from opportune.db.url.database_url import DatabaseUrl
from opportune.i18n import gettext_lazy as _l
from opportune.project.atomic_files import private_folder
from opportune.project.layout import FRAMEWORK
from opportune.web import url

PACKAGED = FRAMEWORK / "docs"
FOLDER = PACKAGED if PACKAGED.is_dir() else FRAMEWORK.parent / "docs"
HEADING = re.compile(r"^(#{1,3}) +(.+?) *$")
FENCE = re.compile(r"^ *(```|~~~)")
IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]*)\)")
MARKUP = re.compile(r"^ *```.*$|^\|[-: |]+\|$|[`*|#]+", re.MULTILINE)


@dataclass(slots=True)
class Section(Document):
    """A section of a page. Its name is its heading, and its title is that of the page."""

    page: str = field(default="", kw_only=True)
    """Name of the page, such as `deploy/render`."""
    anchor: str = field(default="", kw_only=True)
    """Fragment of its URL; empty for the beginning of a page."""
    markdown: str = field(default="", kw_only=True)


@cache
def page_names() -> list[str]:
    """Return the names of all pages, such as `crud` and `deploy/render`."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.md"))


@cache
def sections_of(page: str) -> list[Section]:
    """Return the sections of a page, which must exist."""
    lines = (FOLDER / f"{page}.md").read_text(encoding="utf-8").splitlines()
    starts = [number for number, is_heading in enumerate(_heading_flags(lines)) if is_heading]
    title = HEADING.sub(r"\2", lines[0]).replace("`", "")
    return [_create_section(page, title, lines[start:end]) for start, end in pairwise([*starts, len(lines)])]


def _create_section(page: str, title: str, lines: Sequence[str]) -> Section:
    heading = plain_text(HEADING.sub(r"\2", lines[0]))
    anchor = "" if lines[0].startswith("# ") else anchor_of(heading)
    return Section(
        slug=f"{page}#{anchor}" if anchor else page,
        name=heading,
        title=title,
        text=plain_text("\n".join(lines[1:]))[:MAX_TEXT_LENGTH],
        page=page,
        anchor=anchor,
        markdown="\n".join(lines),
    )


def _heading_flags(lines: Iterable[str]) -> Iterator[bool]:
    """Yield for each line whether it is a heading, and not a comment in a code block."""
    is_code = False
    for line in lines:
        is_code ^= bool(FENCE.match(line))
        yield not is_code and bool(HEADING.match(line))


def anchor_of(heading: str) -> str:
    """Return the fragment that links to a heading, as on GitHub."""
    return re.sub(r"[^\w\- ]", "", plain_text(heading).lower()).replace(" ", "-")


def plain_text(markdown: str) -> str:
    """Return the words of Markdown for search and excerpts."""
    return " ".join(MARKUP.sub(" ", LINK.sub(r"\1", IMAGE.sub("", markdown))).split())


def with_site_links(section: Section) -> str:
    """Return the Markdown of a section with links to pages of the site. Other files are only named."""

    def replace(match: re.Match[str]) -> str:
        text, target = match.groups()
        if target.startswith(("http:", "https:", "mailto:", "#")):
            return match[0]
        file, mark, fragment = target.partition("#")
        page = normpath(join(dirname(section.page), file)).removesuffix(".md")
        return f"[{text}]({url(f'/docs/{page}{mark}{fragment}')})" if page in page_names() else text

    return LINK.sub(replace, IMAGE.sub(r"*\1*", section.markdown))


class PageSource:
    """Source of the search index."""

    title = "Opportune"

    def batches(self) -> list[str]:
        return [*page_names()]

    def read(self, batches: Iterable[str]) -> Generator[tuple[str, list[Any] | str], None, None]:
        yield from ((name, sections_of(name)) for name in batches)


class SectionHit(DocumentHit):
    """A section of the documentation in search results."""

    page: str
    anchor: str

    @property
    def url(self) -> str:
        return f"/docs/{self.slug}"


INDEX = DocumentIndex("documentation", _l("the documentation"), document=Section, hit=SectionHit)


class Documentation:
    """The search of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._lock = asyncio.Lock()
        self._search: DocumentSearch[SectionHit] | None = None

    async def search(self) -> DocumentSearch[SectionHit]:
        """Return the search. The first call builds the index."""
        async with self._lock:
            if not self._search:
                self._search = await asyncio.to_thread(self._open)
        return self._search

    def _open(self) -> DocumentSearch[SectionHit]:
        folder = self._stack.enter_context(private_folder("opportune-docs-"))
        url = DatabaseUrl.parse(f"sqlite:///{quote(str(folder))}/documentation.db")
        SQLiteStore(INDEX, url).build(PageSource())
        return DocumentSearch(INDEX, partial(SQLiteEngine, INDEX, url, self._settings))

    async def close(self) -> None:
        """Remove the index."""
        if self._search:
            await self._search.close()
            self._search = None
        self._stack.close()
