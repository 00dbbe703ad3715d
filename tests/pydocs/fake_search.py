"""A fake search of a few entries, for tests of pages and the API."""

from datetime import UTC, datetime
from typing import Any

from markupsafe import escape

from app.pydocs.documents import python_docs
from app.pydocs.schemas import SearchHit
from opportune.errors import NotFound
from opportune.search import MAX_QUERY_LENGTH, DocumentRead, DocumentSearch, IndexStatus, SearchResults
from opportune.search.documents.fragments import FragmentCache
from opportune.search.questions import queries_for

BODIES = {
    "os": "Miscellaneous operating system interfaces",
    "os.path": "Common pathname manipulations",
    "os.path.join": "Join one or more path segments & more",
    "os.pathconf": "Return <system> configuration information",
    "json": "JSON encoder and decoder",
}


class FakeSearch(DocumentSearch[SearchHit]):
    """Matches names that begin with the query."""

    def __init__(self) -> None:
        self.database = None
        self.is_empty = False
        self.fragments = FragmentCache()
        self.asked: list[str] = []

    async def find(self, query: str, *, limit: int = 20, page: int = 1) -> SearchResults[SearchHit]:
        if self.is_empty:
            raise python_docs.missing_error
        query = query.replace("\0", "").strip()[:MAX_QUERY_LENGTH]
        self.asked.append(query)
        corrected = "json" if query == "jsno" else ""
        names = [name for name in BODIES if query and name.startswith(corrected or query.lower())]
        page_names = names[(page - 1) * limit : page * limit]
        return SearchResults(
            items=[self.hit(name, corrected or query) for name in page_names],
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
        """Do not cache."""

    async def get(self, slug: str) -> DocumentRead:
        if self.is_empty:
            raise python_docs.missing_error
        if slug not in BODIES:
            raise NotFound
        parent = slug.rpartition(".")[0]
        children = [name for name in BODIES if name.rpartition(".")[0] == slug]
        document = {
            **self.fields(slug),
            "module": parent,
            "signature": "join(path, *paths)" if slug == "os.path.join" else "",
            "body": f"<p>{escape(BODIES[slug])}</p>",
            "source": "",
        }
        return DocumentRead(document, self.fields(parent) if parent else None, [self.fields(name) for name in children])

    async def status(self) -> IndexStatus:
        if self.is_empty:
            raise python_docs.missing_error
        return IndexStatus(
            entries=len(BODIES),
            source="Python 3.11.7",
            built_at=datetime(2026, 11, 20, tzinfo=UTC),
            mends_typos=True,
            skipped=0,
        )

    def hit(self, name: str, query: str) -> SearchHit:
        marked = f"<mark>{escape(name[: len(query)])}</mark>{escape(name[len(query) :])}"
        return SearchHit(**self.fields(name), module="", name_html=marked, snippet_html=str(escape(BODIES[name])))

    @staticmethod
    def fields(name: str) -> dict[str, Any]:
        kind = "function" if name in ("os.path.join", "os.pathconf") else "module"
        return {"slug": name, "name": name, "kind": kind, "title": BODIES[name]}
