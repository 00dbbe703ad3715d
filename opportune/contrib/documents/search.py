"""Search in an index of documents, usually with one statement."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic

from opportune.contrib.documents.corrections import correct_spelling
from opportune.contrib.documents.document import MAX_RANKED_HITS, DocumentRead, Fields, H, IndexDefinition, IndexStatus
from opportune.contrib.documents.engine import Engine, Rank
from opportune.contrib.documents.meaning import MeaningSearch
from opportune.db.database import Database
from opportune.errors import NotFound
from opportune.i18n import current_language
from opportune.pagination import page_count
from opportune.schemas.text import UNSTORABLE
from opportune.search.hybrid import fuse_rankings
from opportune.search.query import Query
from opportune.search.questions import NAME, queries_for
from opportune.search.results import Highlighter, SearchResults

Rows = Sequence[Fields]
MAX_FRAGMENTS = 500
"""Cached results. Visitors often request the same first letters while they type."""
MAX_FRAGMENT_KEY_LENGTH = 30
"""Maximum length of cached query strings; longer ones are rarely repeated."""
MAX_FUSED = 100
"""Number of hits by words that are merged with hits by meaning."""


class DocumentSearch(Generic[H]):
    """Search of an index, from `DocumentIndex.search` or `DocumentIndex.open`. The first query opens the index."""

    def __init__(
        self, index: IndexDefinition[H], open_engine: Callable[[], Engine], database: Database | None = None
    ) -> None:
        """`database`: the site's database, with the vectors of documents."""
        self.index = index
        self._meaning = MeaningSearch(index, database)
        self._open_engine = open_engine
        self._fragments: dict[tuple[int, str, bytes], str] = {}
        """Rendered HTML by edition, language and query string, the oldest first."""

    @cached_property
    def engine(self) -> Engine:
        return self._open_engine()

    async def find(self, query: str, *, limit: int = 20, page: int = 1) -> SearchResults[H]:
        """Return one page of results: matches of names first, then of texts.

        Args:
            query: Any text; the last word may be incomplete. An empty query has no results.
            limit: Results per page.
            page: Page number from 1. A page after the last one is empty.

        Raises:
            IndexMissing: The index has not been built.
        """
        parsed = Query.parse(query)
        if parsed.is_blank:
            return self._results(parsed, parsed, (), limit, page)
        used_query, rows = await self._search_words(parsed, limit, page)
        if not (parsed.is_exact or parsed.is_dotted):
            similar = await self._meaning.find(parsed.text, self.engine)
            if similar:
                rows = await self._fused_page(used_query, similar, limit, page)
        return self._results(parsed, used_query, rows, limit, page)

    async def find_related(self, question: str, *, limit: int = 5) -> list[H]:
        """Return documents about a question in whole sentences: by names in it, by meaning, by all words, by any word.

        Raises:
            IndexMissing: The index has not been built.
        """
        similar = await self._meaning.find(question, self.engine)
        names = {*NAME.findall(question)}
        queries = [*queries_for(question)]
        hits: dict[str, Fields] = {}
        await self._add_hits(hits, [query for query in queries if query in names], limit)
        if len(hits) < limit:
            for row in await self._load_by_slug([*similar][:limit]):
                hits.setdefault(row["slug"], row)
        await self._add_hits(hits, [query for query in queries if query not in names], limit)
        highlighter = Highlighter(Query.parse(question).highlighted_words)
        rows = [{**row, "similarity": similar.get(slug)} for slug, row in hits.items()]
        return [self._hit(row, highlighter) for row in rows[:limit]]

    async def get(self, slug: str) -> DocumentRead:
        """Return a document with its parent and children.

        Raises:
            NotFound: There is no such document.
            IndexMissing: The index has not been built.
        """
        if UNSTORABLE.search(slug):
            raise NotFound
        row, children = await self.engine.get(slug)
        if row is None:
            raise NotFound
        parent = {name: row[f"parent_{name}"] for name in self.index.links}
        return DocumentRead(dict(row), parent if parent["slug"] else None, [dict(child) for child in children])

    async def status(self) -> IndexStatus:
        """Return size, source and date of the index.

        Raises:
            IndexMissing: The index has not been built.
        """
        about = await self.engine.read_status()
        if about is None:
            raise self.index.missing_error
        return IndexStatus.model_validate(dict(about))

    async def fragment(self, query: bytes, render: Callable[[], Awaitable[str]]) -> str:
        """Return HTML that depends only on query string, language and index, from a cache or from `render`."""
        edition = await self.engine.edition()
        if edition is None or len(query) > MAX_FRAGMENT_KEY_LENGTH:
            return await render()
        key = edition, current_language.get(), query
        if key not in self._fragments:
            html = await render()
            if len(self._fragments) >= MAX_FRAGMENTS:
                del self._fragments[next(iter(self._fragments))]
            self._fragments[key] = html
        return self._fragments[key]

    async def close(self) -> None:
        if "engine" in vars(self):
            await self.engine.close()

    async def _hits(self, query: Query, limit: int, offset: int) -> Rows:
        limit = min(limit, MAX_RANKED_HITS - offset)
        return await self.engine.search(query, limit, offset) if limit > 0 else ()

    async def _add_hits(self, hits: dict[str, Fields], queries: Iterable[str], limit: int) -> None:
        """Add hits of each query in turn, until there are enough."""
        for query in queries:
            if len(hits) >= limit:
                return
            _, rows = await self._search_words(Query.parse(query), limit, 1)
            for row in rows:
                hits.setdefault(row["slug"], row)

    async def _search_words(self, query: Query, limit: int, page: int) -> tuple[Query, Rows]:
        """Search by words, with corrected spelling if that is better. Return the used query and a page of hits."""
        offset = (page - 1) * limit
        rows = await self._hits(query, limit, offset)
        if rows and not (query.is_dotted and rows[0]["rank"] >= Rank.TEXT_MATCH):  # else it seems misspelt
            return query, rows
        corrected = await correct_spelling(query, self.engine)
        new_rows = await self._hits(corrected, limit, offset) if corrected else ()
        if corrected and new_rows and (not rows or new_rows[0]["rank"] < Rank.TEXT_MATCH):
            return corrected, new_rows
        return query, rows

    async def _fused_page(self, query: Query, similar: Mapping[str, float], limit: int, page: int) -> Rows:
        """Return a page of hits by words and by meaning, and after them of the other hits by words.

        `similar` has slugs and similarities of the hits by meaning, the most similar first.
        """
        word_hits = await self._hits(query, MAX_FUSED, 0)
        word_slugs = {row["slug"] for row in word_hits}
        only_similar = await self._load_by_slug([slug for slug in similar if slug not in word_slugs])
        fused = _fuse(word_hits, only_similar, similar)
        start = (page - 1) * limit
        rows = fused[start : start + limit]
        words_total = min(word_hits[0]["total"], MAX_RANKED_HITS) if word_hits else 0
        if len(rows) < limit and words_total > len(word_hits):
            # In the ranking by words, the hits after the merged ones do not count the documents found only by meaning.
            offset = max(start, len(fused)) - len(only_similar)
            rows += await self._hits(query, limit - len(rows), offset)
        total = words_total + len(only_similar)
        return [{**row, "total": total, "similarity": similar.get(row["slug"])} for row in rows]

    async def _load_by_slug(self, slugs: Sequence[str]) -> Rows:
        """Return the existing documents in the order of their slugs."""
        rows = {row["slug"]: row for row in await self.engine.find_by_slug(slugs)}
        return [rows[slug] for slug in slugs if slug in rows]

    def _results(self, query: Query, used_query: Query, rows: Rows, limit: int, page: int) -> SearchResults[H]:
        total = min(rows[0]["total"], MAX_RANKED_HITS) if rows else 0
        highlighter = Highlighter(used_query.highlighted_words)
        return SearchResults[Any](
            items=[self._hit(row, highlighter) for row in rows],
            total=total,
            page=page,
            pages=page_count(total, limit),
            query=query.text,
            corrected=used_query.text if used_query is not query else "",
        )

    def _hit(self, row: Fields, highlighter: Highlighter) -> H:
        fields = {name: row[name] for name in self.index.links}
        marked = {"name_html": highlighter.mark(row["name"]), "snippet_html": highlighter.snippet(row["text"])}
        return self.index.hit(**fields, **marked, similarity=row.get("similarity"))


def _fuse(word_hits: Rows, only_similar: Rows, similar: Iterable[str]) -> list[Fields]:
    """Merge hits: matches of names first, then by reciprocal rank fusion of words and meaning."""
    names = [row for row in word_hits if row["rank"] < Rank.TEXT_MATCH]
    text_matches = word_hits[len(names) :]
    rows = {row["slug"]: row for row in [*text_matches, *only_similar]}
    by_words = [row["slug"] for row in text_matches]
    by_meaning = [slug for slug in similar if slug in rows]
    return [*names, *(rows[slug] for slug in fuse_rankings([by_words, by_meaning]))]
