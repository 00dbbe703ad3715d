"""Search in the documentation. Its index is built on first use, in a temporary folder."""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any
from urllib.parse import quote

from opportune.config.settings import Settings
from opportune.contrib.documentation.content import Section, page_names, sections_of
from opportune.contrib.documents import DocumentHit, DocumentIndex, DocumentSearch
from opportune.contrib.documents.sqlite import SQLiteEngine, SQLiteStore
from opportune.db.url.database_url import DatabaseUrl
from opportune.i18n import gettext_lazy as _l
from opportune.project.atomic_files import private_folder


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
