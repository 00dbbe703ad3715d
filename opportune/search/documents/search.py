"""Searching an index of documents, wherever it is. One statement for most questions; it knows no HTTP."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property, partial
from time import monotonic
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers.postgresql import PostgreSQLDatabase
from opportune.errors import NotFound, ReadOnlyError
from opportune.search.documents.definition import IndexDefinition
from opportune.search.documents.engine import MENTIONS, Engine
from opportune.search.documents.fragments import FragmentCache
from opportune.search.documents.postgresql_engine import PostgreSQLEngine
from opportune.search.documents.results import MAX_RANKED_HITS, DocumentHit, DocumentRead, Fields, IndexStatus
from opportune.search.documents.sqlite_engine import SQLiteEngine
from opportune.search.documents.vectors import find_alike
from opportune.search.highlight import Highlighter
from opportune.search.query import Query
from opportune.search.questions import NAME, queries_for
from opportune.search.results import SearchResults
from opportune.search.spelling import MIN_MISSPELT_LETTERS, nearest

H = TypeVar("H", bound=DocumentHit)

Rows = Sequence[Fields]

EMBEDDINGS = "embeddings"
"""Where sessions know the site's `Embeddings`."""
EMBED_DOCUMENTS_LATER = "embed_documents_later"
"""And a database what queues their making."""
LOOK_INTERVAL_SECONDS = 60
MAX_FUSED = 100
"""Hits by words among which those by meaning are put."""
SMOOTHING_RANKS = 60
"""Of reciprocal rank fusion: how little the first place counts more than the second."""


class DocumentSearch(Generic[H]):
    """Made when the application starts; opens the index at the first question."""

    def __init__(
        self, index: IndexDefinition[H], make_engine: Callable[[], Engine], database: Database | None = None
    ) -> None:
        """`database`: the site's, where it has the vectors of documents."""
        self.index = index
        self.database = database
        self._make_engine = make_engine
        self.fragments = FragmentCache()
        self._built_at = ""
        self._look_at = 0.0

    @cached_property
    def engine(self) -> Engine:
        return self._make_engine()

    async def find(self, query: str, *, limit: int = 20, page: int = 1) -> SearchResults[H]:
        """What any text finds: documents by their name first, then by the words of their text.

        The last word may be unfinished. A page past the end is empty, and so is what an empty query finds.

        Raises:
            IndexMissing: nothing has been indexed yet.
        """
        asked = Query.parse(query)
        if asked.is_blank:
            return self._results(asked, asked, (), limit, page)
        used, rows = await self._by_words(asked, limit, page)
        if not (asked.is_exact or asked.is_dotted) and (alike := await self._alike(asked.text)):
            rows = await self._fused(used, alike, limit, page)
        return self._results(asked, used, rows, limit, page)

    async def find_related(self, question: str, *, limit: int = 5) -> list[H]:
        """What may answer a question in whole sentences: by the names in it, its meaning, all of its words, then any.

        Raises:
            IndexMissing: nothing has been indexed yet.
        """
        found: dict[str, Fields] = {}
        alike = await self._alike(question)
        names, queries = {*NAME.findall(question)}, [*queries_for(question)]
        for query in [
            *(each for each in queries if each in names),
            "",
            *(each for each in queries if each not in names),
        ]:
            if len(found) >= limit:
                break
            if query:
                _, rows = await self._by_words(Query.parse(query), limit, 1)
            else:
                rows = await self._of_slugs([*alike][:limit])
            found |= {row["slug"]: row for row in rows if row["slug"] not in found}
        highlighter = Highlighter(Query.parse(question).marks)
        return [self._hit({**row, "similarity": alike.get(slug)}, highlighter) for slug, row in found.items()][:limit]

    async def get(self, slug: str) -> DocumentRead:
        """Raises NotFound, or IndexMissing."""
        row, children = (None, ()) if _is_unstorable(slug) else await self.engine.get(slug)
        if row is None:
            raise NotFound
        parent = {name: row[f"parent_{name}"] for name in self.index.links}
        return DocumentRead(dict(row), parent if parent["slug"] else None, [dict(child) for child in children])

    async def status(self) -> IndexStatus:
        """Raises IndexMissing."""
        about = await self.engine.about()
        if about is None:
            raise self.index.missing
        built_at = datetime.fromisoformat(about["built_at"])
        return IndexStatus(**{**about, "built_at": built_at})

    async def edition(self) -> int | None:
        """What is made of the answers may be kept until this grows; None: not at all."""
        return await self.engine.edition()

    async def fragment(self, query: bytes, make: Callable[[], Awaitable[str]]) -> str:
        """A part of a page that depends on nothing but the query of its address and the index: made once for both."""
        edition = await self.edition()
        part = self.fragments.get(edition, query)
        if part is None:
            part = await make()
            self.fragments.set(edition, query, part)
        return part

    async def refresh(self) -> None:
        """Look for a newer index now. It is done by itself, at most a second after one was made and is asked for."""
        await self.engine.refresh()

    async def close(self) -> None:
        if "engine" in vars(self):
            await self.engine.close()

    async def _page(self, query: Query, limit: int, page: int) -> Rows:
        offset = (page - 1) * limit
        limit = min(limit, MAX_RANKED_HITS - offset)
        return await self.engine.search(query, limit, offset) if limit > 0 else ()

    async def _by_words(self, asked: Query, limit: int, page: int) -> tuple[Query, Rows]:
        """What words find, and the query that it was in the end: mended, if that is better."""
        rows = await self._page(asked, limit, page)
        if not _seems_misspelt(asked, rows):
            return asked, rows
        mended = await self._mended(asked)
        if mended and (better := await self._page(mended, limit, page)) and _is_better(better, rows):
            return mended, better
        return asked, rows

    async def _alike(self, question: str) -> Mapping[str, float]:
        """The slugs of what means the like, the nearest first, and how alike."""
        embeddings = self.database.reading_info.get(EMBEDDINGS) if self.database and self.index.by_meaning else None
        if embeddings is None or self.database is None:
            return {}
        await self._embed_if_new(self.database)
        return await find_alike(self.index, self.database, question, embeddings)

    async def _embed_if_new(self, database: Database) -> None:
        """Have the vectors of an index made that another process has written: looked for once a minute."""
        if monotonic() < self._look_at or not (embed_later := database.info.get(EMBED_DOCUMENTS_LATER)):
            return
        self._look_at = monotonic() + LOOK_INTERVAL_SECONDS
        about = await self.engine.about()
        if about is None or about["built_at"] == self._built_at:
            return
        self._built_at = about["built_at"]
        with suppress(SQLAlchemyError, TimeoutError, ReadOnlyError):  # it is searched all the same
            async with database.writer() as session:
                embed_later(session, self.index.name, self._built_at)

    async def _fused(self, query: Query, alike: Mapping[str, float], limit: int, page: int) -> Rows:
        """A page of what words or meaning find: names first, then by reciprocal rank fusion."""
        worded = await self._page(query, MAX_FUSED, 1)
        by_slug = {row["slug"]: row for row in worded}
        unworded = await self._of_slugs([slug for slug in alike if slug not in by_slug])
        by_slug |= {row["slug"]: row for row in unworded}
        named = [row["slug"] for row in worded if row["place"] < MENTIONS]
        scores = {row["slug"]: 1 / (SMOOTHING_RANKS + place) for place, row in enumerate(worded[len(named) :], 1)}
        for place, slug in enumerate((slug for slug in alike if slug in by_slug and slug not in named), 1):
            scores[slug] = scores.get(slug, 0) + 1 / (SMOOTHING_RANKS + 0.5 + place)
        order = [*named, *sorted(scores, key=lambda slug: -scores[slug])]
        start = (page - 1) * limit
        chosen = [by_slug[slug] for slug in order[start : start + limit]]
        words_total = min(worded[0]["total"], MAX_RANKED_HITS) if worded else 0
        if len(chosen) < limit and words_total > len(worded):
            before = start + len(chosen) - len(unworded)
            chosen += await self.engine.search(query, min(limit - len(chosen), MAX_RANKED_HITS - before), before)
        return [{**row, "total": words_total + len(unworded), "similarity": alike.get(row["slug"])} for row in chosen]

    async def _of_slugs(self, slugs: Sequence[str]) -> Rows:
        """These documents in this order, as far as they are there."""
        found = {row["slug"]: row for row in await self.engine.chosen(slugs)}
        return [found[slug] for slug in slugs if slug in found]

    async def _mended(self, query: Query) -> Query | None:
        """The query with each word that the index does not know replaced by the nearest that it does."""
        mends = {word: await self._mend(word, in_name=word in query.name_words) for word in query.marks}
        mended = query.replaced({word: mend for word, mend in mends.items() if mend})
        return mended if mended.text != query.text else None

    async def _mend(self, word: str, *, in_name: bool) -> str:
        if len(word) < MIN_MISSPELT_LETTERS or await self.engine.knows(word, in_name=in_name):
            return ""
        terms = await self.engine.similar_terms(word)
        return nearest(word, [term for term in terms if term.is_name or not in_name])

    def _results(self, asked: Query, used: Query, rows: Rows, limit: int, page: int) -> SearchResults[H]:
        total = min(rows[0]["total"], MAX_RANKED_HITS) if rows else 0
        highlighter = Highlighter(used.marks)
        return SearchResults[Any](
            items=[self._hit(row, highlighter) for row in rows],
            total=total,
            page=page,
            pages=max(1, -(-total // limit)),
            query=asked.text,
            corrected=used.text if used is not asked else "",
        )

    def _hit(self, row: Fields, highlighter: Highlighter) -> H:
        shown = {name: row[name] for name in self.index.links}
        marked = {"name_html": highlighter.name(row["name"]), "snippet_html": highlighter.snippet(row["text"])}
        return self.index.hit(**shown, **marked, similarity=row.get("similarity"))


def engine_for(
    index: IndexDefinition[Any], settings: Settings, database: Database | None = None
) -> Callable[[], Engine]:
    """What makes it, where the index is; `database` is used if that is it. Sites that nobody asks go without."""
    url = index.url(settings)
    if url.kind != "postgresql":
        return partial(SQLiteEngine, index, url, settings)
    if database and database.url == url:
        return partial(PostgreSQLEngine, index, database, is_own=False)
    return lambda: PostgreSQLEngine(index, PostgreSQLDatabase(url, settings), is_own=True)


def _seems_misspelt(query: Query, rows: Rows) -> bool:
    """Nothing was found, or a dotted name in texts only."""
    return not rows or (query.is_dotted and rows[0]["place"] >= MENTIONS)


def _is_better(rows: Rows, than: Rows) -> bool:
    return not than or rows[0]["place"] < MENTIONS


def _is_unstorable(slug: str) -> bool:
    return "\0" in slug or not slug.isprintable()
