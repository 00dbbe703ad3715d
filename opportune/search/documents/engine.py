"""Queries of an index, the same for both databases, whose tables have the same names."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import TextClause, text

from opportune.search.documents.definition import IndexDefinition
from opportune.search.documents.results import MAX_RANKED_HITS, Fields
from opportune.search.query import Query
from opportune.search.spelling import MAX_CANDIDATES, Term

# Ranks of matches: exact name, end of a name, prefix of a name, prefix of a part of a name, words of the text.
EXACT, NAMED, BEGINS, PARTLY, MENTIONS = range(5)

LAST_CHARACTER = "\U0010ffff"
"""Sorts after every other character."""
FIRST_CHARACTER = " "
"""Sorts before every character of a word."""
ENOUGH = "(SELECT count(*) FROM names) >= 100"
"""SQL condition that enough names match, so that the slower search in texts is skipped."""
IMPORTANCE_WEIGHT = 0.0003
"""Weight of an entry's number among matches in texts."""

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
SELECT {{result_columns}}, place, total
FROM best JOIN {{schema}}entries ON id = entry ORDER BY place, entry
"""
DOCUMENT = """
SELECT entries.*, {above}
FROM {schema}entries AS entries LEFT JOIN {schema}entries AS above ON above.slug = entries.parent
WHERE entries.slug IN (:slug, :page) ORDER BY entries.slug <> :slug LIMIT 1
"""
CHILDREN = "SELECT {links} FROM {schema}entries WHERE parent = :slug ORDER BY name, id LIMIT 1000"
ENTRIES = "SELECT id, slug, name, title, text FROM {schema}entries WHERE id > :after ORDER BY id LIMIT :limit"
BY_SLUG = "SELECT {result_columns} FROM {schema}entries WHERE slug IN ({listed})"
KNOWN = "SELECT 1 FROM {schema}terms WHERE term >= :word AND term < :beyond AND (is_name OR NOT :in_name) LIMIT 1"
ABOUT = "SELECT source, entries, skipped, built_at, {compares} AS mends_typos FROM {schema}about"


class Engine(ABC):
    """Readable index. Each query raises IndexMissing if there is no index."""

    prefix: ClassVar[str] = ""
    """Prefix of table names; `{name}` is the name of the index."""
    searching: ClassVar[str] = SEARCH
    documents: ClassVar[str]
    """SQL of the documents that contain `:match`, with ranks from `MENTIONS` on. No rows if `ENOUGH` names match."""
    similar: ClassVar[str]
    """SQL of the terms most similar to `:word`."""
    listed: ClassVar[str]
    """SQL of the items of the JSON list `:slugs`."""
    compares: ClassVar[str] = "1"
    """SQL condition that the database can find similar terms."""

    def __init__(self, index: IndexDefinition[Any]) -> None:
        self.index = index
        self.result_columns = (*index.links, *(name for name in ("text",) if name not in index.links))
        self._search = self._statement(self.searching)
        self._document, self._children = self._statement(DOCUMENT), self._statement(CHILDREN)
        self._known, self._similar = self._statement(KNOWN), self._statement(self.similar)
        self._about = self._statement(ABOUT)
        self._entries, self._by_slug = self._statement(ENTRIES), self._statement(BY_SLUG)

    async def search(self, query: Query, limit: int, offset: int) -> Sequence[Fields]:
        """Return fields of matching documents with `place` (the rank) and `total`, the best first."""
        values = {"symbol": query.symbol, "beyond": query.symbol + LAST_CHARACTER, "match": self.match(query)}
        return await self.rows(self._search, values | {"deepest": MAX_RANKED_HITS, "limit": limit, "offset": offset})

    async def get(self, slug: str) -> tuple[Fields | None, Sequence[Fields]]:
        """Return a document with its parent, and its children. An unknown anchor returns its page."""
        rows = await self.rows(self._document, {"slug": slug, "page": slug.partition("#")[0]})
        if not rows:
            return None, ()
        return rows[0], await self.rows(self._children, {"slug": rows[0]["slug"]})

    async def entries(self, after: int, limit: int) -> Sequence[Fields]:
        """Return the texts of documents in the order of their numbers."""
        return await self.rows(self._entries, {"after": after, "limit": limit})

    async def by_slug(self, slugs: Sequence[str]) -> Sequence[Fields]:
        """Return fields of the documents with these slugs."""
        return await self.rows(self._by_slug, {"slugs": json.dumps(slugs)}) if slugs else ()

    async def has_word(self, word: str, *, in_name: bool) -> bool:
        """Return whether a word of the index starts with `word`. With `in_name`, whether a name contains `word`."""
        beyond = word + (FIRST_CHARACTER if in_name else LAST_CHARACTER)
        return bool(await self.rows(self._known, {"word": word, "beyond": beyond, "in_name": in_name}))

    async def similar_terms(self, word: str) -> list[Term]:
        """Return similar terms. Empty if the database cannot compare words."""
        rows = await self.rows(self._similar, {"candidates": MAX_CANDIDATES, **self.similarity_parameters(word)})
        return [Term(**row) for row in rows]

    async def about(self) -> Fields | None:
        rows = await self.rows(self._about, {})
        return rows[0] if rows else None

    async def edition(self) -> int | None:
        """Return a number that grows when the index is replaced; None if it is not known."""
        return None

    @abstractmethod
    def match(self, query: Query) -> str:
        """Return the query in the syntax of the database."""

    @abstractmethod
    def similarity_parameters(self, word: str) -> Mapping[str, Any]:
        """Return the parameters of `similar`."""

    @abstractmethod
    async def refresh(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def rows(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Fields]:
        """Return the rows of a statement."""

    def _statement(self, sql: str) -> TextClause:
        names = {"schema": self.prefix.format(name=self.index.name), "name": self.index.name}
        return text(
            sql.format(
                documents=self.documents.format(**names),
                listed=self.listed,
                compares=self.compares.format(**names),
                result_columns=", ".join(self.result_columns),
                links=", ".join(self.index.links),
                above=", ".join(f"above.{name} AS parent_{name}" for name in self.index.links),
                fields=", ".join(f"'{name}', {name}" for name in (*self.result_columns, "place", "total")),
                **names,
            )
        )
