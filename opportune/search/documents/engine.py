"""What both databases do in the same way: the questions, which read the same tables under the same names."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import TextClause, text

from opportune.search.documents.definition import IndexDefinition
from opportune.search.documents.results import MAX_RANKED_HITS, Fields
from opportune.search.query import Query
from opportune.search.spelling import MAX_CANDIDATES, Term

# Where a document stands: what is called so, what ends so, what begins so, and then by its words.
EXACT, NAMED, BEGINS, PARTLY, MENTIONS = range(5)

BEYOND = "\U0010ffff"
"""Comes after every other character."""
NOTHING_MORE = " "
"""Comes before every character of a word."""
ENOUGH = "(SELECT count(*) FROM names) >= 100"
"""Whether so many names were found that texts, which take much longer, need not be searched."""
IMPORTANCE_WEIGHT = 0.0003
"""What an entry's number counts for among those that mention the same."""

SEARCH = f"""
WITH named AS (
    SELECT entry, CASE depth WHEN 0 THEN {EXACT} ELSE {NAMED} END AS place
    FROM {{schema}}keys WHERE key = :symbol ORDER BY depth, entry LIMIT :deepest
), begins AS (
    SELECT entry, CASE depth WHEN 0 THEN {BEGINS} ELSE {PARTLY} END AS place
    FROM {{schema}}keys WHERE key > :symbol AND key < :beyond ORDER BY entry LIMIT :deepest
), names AS MATERIALIZED (
    SELECT entry, place FROM named UNION ALL SELECT entry, place FROM begins
), found AS (
    SELECT entry, place FROM names UNION ALL {{documents}}
), best AS (
    SELECT entry, min(place) AS place, count(*) OVER () AS total
    FROM found GROUP BY entry ORDER BY min(place), entry LIMIT :limit OFFSET :offset
)
SELECT {{shown}}, place, total
FROM best JOIN {{schema}}entries ON id = entry ORDER BY place, entry
"""
DOCUMENT = """
SELECT entries.*, {above}
FROM {schema}entries AS entries LEFT JOIN {schema}entries AS above ON above.slug = entries.parent
WHERE entries.slug IN (:slug, :page) ORDER BY entries.slug <> :slug LIMIT 1
"""
CHILDREN = "SELECT {links} FROM {schema}entries WHERE parent = :slug ORDER BY name, id LIMIT 1000"
ENTRIES = "SELECT id, slug, name, title, text FROM {schema}entries WHERE id > :after ORDER BY id LIMIT :limit"
CHOSEN = "SELECT {shown} FROM {schema}entries WHERE slug IN ({listed})"
KNOWN = "SELECT 1 FROM {schema}terms WHERE term >= :word AND term < :beyond AND (is_name OR NOT :in_name) LIMIT 1"
ABOUT = "SELECT source, entries, skipped, built_at, {compares} AS mends_typos FROM {schema}about"


class Engine(ABC):
    """An index to be asked. Each question raises IndexMissing where there is none."""

    prefix: ClassVar[str] = ""
    """Of its tables' names; `{name}` is the index's."""
    searching: ClassVar[str] = SEARCH
    documents: ClassVar[str]
    """The documents that contain `:match`, and a place from `MENTIONS` on; none where the names are `ENOUGH`."""
    similar: ClassVar[str]
    """The terms that are most like `:word`."""
    listed: ClassVar[str]
    """What is in `:slugs`, a JSON list."""
    compares: ClassVar[str] = "1"
    """Whether the database can tell which they are."""

    def __init__(self, index: IndexDefinition[Any]) -> None:
        self.index = index
        self.shown = (*index.links, *(name for name in ("text",) if name not in index.links))
        self._search = self._statement(self.searching)
        self._document, self._children = self._statement(DOCUMENT), self._statement(CHILDREN)
        self._known, self._similar = self._statement(KNOWN), self._statement(self.similar)
        self._about = self._statement(ABOUT)
        self._entries, self._chosen = self._statement(ENTRIES), self._statement(CHOSEN)

    async def search(self, query: Query, limit: int, offset: int) -> Sequence[Fields]:
        """What is shown of documents, with `place` and `total`, the best first."""
        wanted = {"symbol": query.symbol, "beyond": query.symbol + BEYOND, "match": self.match(query)}
        return await self.ask(self._search, wanted | {"deepest": MAX_RANKED_HITS, "limit": limit, "offset": offset})

    async def get(self, slug: str) -> tuple[Fields | None, Sequence[Fields]]:
        """The document with its parent, and its children; for a place on a page that is none, the page."""
        rows = await self.ask(self._document, {"slug": slug, "page": slug.partition("#")[0]})
        if not rows:
            return None, ()
        return rows[0], await self.ask(self._children, {"slug": rows[0]["slug"]})

    async def entries(self, after: int, limit: int) -> Sequence[Fields]:
        """What stands in documents, in the order of their numbers."""
        return await self.ask(self._entries, {"after": after, "limit": limit})

    async def chosen(self, slugs: Sequence[str]) -> Sequence[Fields]:
        """What is shown of those of these documents that there are."""
        return await self.ask(self._chosen, {"slugs": json.dumps(slugs)}) if slugs else ()

    async def knows(self, word: str, *, in_name: bool) -> bool:
        """Whether a word of the index begins so; or, where it was a part of a name, is one in another."""
        beyond = word + (NOTHING_MORE if in_name else BEYOND)
        return bool(await self.ask(self._known, {"word": word, "beyond": beyond, "in_name": in_name}))

    async def similar_terms(self, word: str) -> list[Term]:
        """Nothing where the database cannot compare words."""
        rows = await self.ask(self._similar, {"candidates": MAX_CANDIDATES, **self.likeness(word)})
        return [Term(**row) for row in rows]

    async def about(self) -> Fields | None:
        rows = await self.ask(self._about, {})
        return rows[0] if rows else None

    async def edition(self) -> int | None:
        """Grows when another index takes the place of this one. None where only the database knows."""
        return None

    @abstractmethod
    def match(self, query: Query) -> str:
        """The query in the database's own language."""

    @abstractmethod
    def likeness(self, word: str) -> Mapping[str, Any]:
        """What `similar` is given."""

    @abstractmethod
    async def refresh(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def ask(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Fields]:
        """The rows that a statement finds."""

    def _statement(self, sql: str) -> TextClause:
        names = {"schema": self.prefix.format(name=self.index.name), "name": self.index.name}
        return text(
            sql.format(
                documents=self.documents.format(**names),
                listed=self.listed,
                compares=self.compares.format(**names),
                shown=", ".join(self.shown),
                links=", ".join(self.index.links),
                above=", ".join(f"above.{name} AS parent_{name}" for name in self.index.links),
                fields=", ".join(f"'{name}', {name}" for name in (*self.shown, "place", "total")),
                **names,
            )
        )
