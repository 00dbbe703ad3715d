"""A fake search of a few entries, for tests of pages and the API."""

from datetime import UTC, datetime
from typing import Any

from markupsafe import escape

from app.pydocs.documents import python_docs
from app.pydocs.schemas import SearchHit
from opportune.contrib.documents import DocumentRead, DocumentSearch, IndexStatus
from opportune.contrib.documents.fragments import FragmentCache
from opportune.errors import NotFound
from opportune.search import MAX_QUERY_LENGTH, SearchResults
from opportune.search.questions import queries_for

TEXTS_BY_NAME = {
    "os": "Miscellaneous operating system interfaces",
    "os.path": "Common pathname manipulations",
    "os.path.join": "Join one or more path segments & more",
    "os.pathconf": "Return <system> configuration information",
    "json": "JSON encoder and decoder",
}


class FakeSearch(DocumentSearch[SearchHit]):
    """Search without an index. It finds the names that begin with the query."""

    def __init__(self) -> None:
        self.database = None
        self.is_empty = False
        self.fragments = FragmentCache()
        self.queries: list[str] = []

    async def find(self, query: str, *, limit: int = 20, page: int = 1) -> SearchResults[SearchHit]:
        if self.is_empty:
            raise python_docs.missing_error
        query = query.replace("\0", "").strip()[:MAX_QUERY_LENGTH]
        self.queries.append(query)
        corrected = "json" if query == "jsno" else ""
        names = [name for name in TEXTS_BY_NAME if query and name.startswith(corrected or query.lower())]
        page_names = names[(page - 1) * limit : page * limit]
        return SearchResults(
            items=[self.make_hit(name, corrected or query) for name in page_names],
            total=len(names),
            page=page,
            pages=max(1, -(-len(names) // limit)),
            query=query,
            corrected=corrected,
        )

    async def find_related(self, question: str, *, limit: int = 5) -> list[SearchHit]:
        hits = [hit for query in queries_for(question) for hit in (await self.find(query)).items]
        return [*{hit.slug: hit for hit in hits}.values()][:limit]

    async def edition(self) -> None:
        """Return no edition, so that pages are not cached."""

    async def get(self, slug: str) -> DocumentRead:
        if self.is_empty:
            raise python_docs.missing_error
        if slug not in TEXTS_BY_NAME:
            raise NotFound
        parent = slug.rpartition(".")[0]
        children = [name for name in TEXTS_BY_NAME if name.rpartition(".")[0] == slug]
        document = {
            **self.get_fields(slug),
            "module": parent,
            "signature": "join(path, *paths)" if slug == "os.path.join" else "",
            "body": f"<p>{escape(TEXTS_BY_NAME[slug])}</p>",
            "source": "",
        }
        return DocumentRead(
            document, self.get_fields(parent) if parent else None, [self.get_fields(name) for name in children]
        )

    async def status(self) -> IndexStatus:
        if self.is_empty:
            raise python_docs.missing_error
        return IndexStatus(
            entries=len(TEXTS_BY_NAME),
            source="Python 3.11.7",
            built_at=datetime(2026, 11, 20, tzinfo=UTC),
            mends_typos=True,
            skipped=0,
        )

    def make_hit(self, name: str, query: str) -> SearchHit:
        name_html = f"<mark>{escape(name[: len(query)])}</mark>{escape(name[len(query) :])}"
        return SearchHit(
            **self.get_fields(name), module="", name_html=name_html, snippet_html=str(escape(TEXTS_BY_NAME[name]))
        )

    @staticmethod
    def get_fields(name: str) -> dict[str, Any]:
        kind = "function" if name in ("os.path.join", "os.pathconf") else "module"
        return {"slug": name, "name": name, "kind": kind, "title": TEXTS_BY_NAME[name]}
