"""Searching the index, wherever it is. One statement for most questions; it knows no HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.pydocs.engines.engine import MENTIONS, Engine, Fields
from app.pydocs.highlight import Highlighter
from app.pydocs.kept import Kept
from app.pydocs.query import Query
from app.pydocs.schemas import (
    MAX_RANKED_HITS,
    EntryLink,
    EntryRead,
    IndexMissing,
    IndexStatus,
    SearchHit,
    SearchResults,
)
from app.pydocs.spelling import SHORTEST, nearest
from opportune.errors import NotFound

Rows = Sequence[Fields]


class Search:
    """Made when the application starts (`app.state.pydocs`); opens the index at the first question."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.kept = Kept()

    async def find(self, query: str, *, limit: int = 20, page: int = 1) -> SearchResults:
        """What any text finds: symbols by their name first, then by the words of their text.

        The last word may be unfinished. A page past the end is empty, and so is what an empty query finds.

        Raises:
            NoIndex: nothing has been indexed yet.
        """
        asked = Query.parse(query)
        if asked.is_blank:
            return _results(asked, asked, (), limit, page)
        rows = await self._page(asked, limit, page)
        if not _seems_misspelt(asked, rows):
            return _results(asked, asked, rows, limit, page)
        mended = await self._mended(asked)
        if mended and (better := await self._page(mended, limit, page)) and _is_better(better, rows):
            return _results(asked, mended, better, limit, page)
        return _results(asked, asked, rows, limit, page)

    async def entry(self, slug: str) -> EntryRead:
        """Raises NotFound, or NoIndex."""
        row, children = (None, ()) if _is_unstorable(slug) else await self.engine.entry(slug)
        if row is None:
            raise NotFound
        return EntryRead(
            **_link(row),
            module=row["module"],
            signature=row["signature"],
            body_html=row["body"],
            source=row["source"],
            parent=EntryLink(slug=row["parent"], **_parent(row)) if row["parent_name"] else None,
            children=[EntryLink(**_link(child)) for child in children],
        )

    async def status(self) -> IndexStatus:
        """Raises NoIndex."""
        about = await self.engine.about()
        if about is None:
            raise IndexMissing
        built_at = datetime.fromisoformat(about["built_at"])
        return IndexStatus(**{**about, "built_at": built_at})

    async def edition(self) -> int | None:
        """What is made of the answers may be kept until this grows; None: not at all."""
        return await self.engine.edition()

    async def refresh(self) -> None:
        """Look for a newer index now. It is done by itself, at most a second after one was made and is asked for."""
        await self.engine.refresh()

    async def close(self) -> None:
        await self.engine.close()

    async def _page(self, query: Query, limit: int, page: int) -> Rows:
        offset = (page - 1) * limit
        limit = min(limit, MAX_RANKED_HITS - offset)
        return await self.engine.search(query, limit, offset) if limit > 0 else ()

    async def _mended(self, query: Query) -> Query | None:
        """The query with each word that the index does not know replaced by the nearest that it does."""
        mends = {word: await self._mend(word, in_name=word in query.name_words) for word in query.marks}
        mended = query.replaced({word: mend for word, mend in mends.items() if mend})
        return mended if mended.text != query.text else None

    async def _mend(self, word: str, *, in_name: bool) -> str:
        if len(word) < SHORTEST or await self.engine.knows(word, in_name=in_name):
            return ""
        terms = await self.engine.similar_terms(word)
        return nearest(word, [term for term in terms if term.is_name or not in_name])


def _seems_misspelt(query: Query, rows: Rows) -> bool:
    """Nothing was found, or a dotted name in texts only."""
    return not rows or (query.is_dotted and rows[0]["place"] >= MENTIONS)


def _is_better(rows: Rows, than: Rows) -> bool:
    return not than or rows[0]["place"] < MENTIONS


def _is_unstorable(slug: str) -> bool:
    return "\0" in slug or not slug.isprintable()


def _results(asked: Query, used: Query, rows: Rows, limit: int, page: int) -> SearchResults:
    total = min(rows[0]["total"], MAX_RANKED_HITS) if rows else 0
    highlighter = Highlighter(used.marks)
    return SearchResults(
        items=[_hit(row, highlighter) for row in rows],
        total=total,
        page=page,
        pages=max(1, -(-total // limit)),
        query=asked.text,
        corrected=used.text if used is not asked else "",
    )


def _hit(row: Fields, highlighter: Highlighter) -> SearchHit:
    return SearchHit(
        **_link(row),
        module=row["module"],
        name_html=highlighter.name(row["name"]),
        snippet_html=highlighter.snippet(row["text"]),
    )


def _link(row: Fields) -> dict[str, Any]:
    return {name: row[name] for name in ("slug", "name", "kind", "title")}


def _parent(row: Fields) -> dict[str, Any]:
    return {name: row[f"parent_{name}"] for name in ("name", "kind", "title")}
