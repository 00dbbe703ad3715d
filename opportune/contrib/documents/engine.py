"""Queries of an index, the same for both databases, whose tables have the same names."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import IntEnum, auto
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import TextClause, text

from opportune.contrib.documents.document import MAX_RANKED_HITS, Fields, IndexDefinition
from opportune.contrib.documents.spelling import Term
from opportune.search.query import Query

MAX_CANDIDATES = 60
"""Number of words with the most common trigrams that are compared by edit distance."""
LAST_CHARACTER = "\U0010ffff"
"""Sorts after every other character."""
FIRST_CHARACTER = " "
"""Sorts before every character of a word."""
HAS_ENOUGH_NAMES = "(SELECT count(*) FROM names) >= 100"
"""SQL condition: so many names match that the slower search in texts is skipped."""
IMPORTANCE_WEIGHT = 0.0003
"""Weight of an entry's number among matches in texts."""
SEARCH = Path(__file__).with_name("search.sql").read_text(encoding="utf-8")
DOCUMENT_BY_SLUG = """
SELECT entries.*, {above}
FROM {schema}entries AS entries LEFT JOIN {schema}entries AS above ON above.slug = entries.parent
WHERE entries.slug IN (:slug, :page) ORDER BY entries.slug <> :slug LIMIT 1
"""
CHILDREN = "SELECT {links} FROM {schema}entries WHERE parent = :slug ORDER BY name, id LIMIT 1000"
TEXTS = "SELECT id, slug, name, title, text FROM {schema}entries WHERE id > :after ORDER BY id LIMIT :limit"
DOCUMENTS_BY_SLUG = "SELECT {result_columns} FROM {schema}entries WHERE slug IN ({listed_slugs})"
HAS_WORD = """
SELECT 1 FROM {schema}terms WHERE term >= :word AND term < :upper_bound AND (is_name OR NOT :in_name) LIMIT 1
"""
STATUS = "SELECT source, entries, skipped, built_at, {can_compare_words} AS mends_typos FROM {schema}about"


class Rank(IntEnum):
    """Ranks of matches, the best first. Matches in texts have `TEXT_MATCH` or more."""

    EXACT_NAME = auto()
    """`path` for the word `path`."""
    NAME_SUFFIX = auto()
    """`os.path`."""
    NAME_PREFIX = auto()
    """`pathlib`."""
    SUFFIX_PREFIX = auto()
    """`os.pathconf`."""
    TEXT_MATCH = auto()


class Engine(ABC):
    """Index to search in, in one of the databases. Each query raises IndexMissing if the index has not been built."""

    prefix: ClassVar[str] = ""
    """Prefix of table names; `{name}` is the name of the index."""
    search_sql: ClassVar[str] = SEARCH
    documents: ClassVar[str]
    """SQL of the documents that contain `:match`, with ranks from `Rank.TEXT_MATCH` on; no rows if HAS_ENOUGH_NAMES."""
    similar_terms_sql: ClassVar[str]
    """SQL of the terms most similar to `:word`."""
    listed_slugs: ClassVar[str]
    """SQL of the items of the JSON list `:slugs`."""
    can_compare_words: ClassVar[str] = "1"
    """SQL condition: the database can find similar terms."""

    def __init__(self, index: IndexDefinition[Any]) -> None:
        self.index = index
        self.result_columns = tuple(dict.fromkeys((*index.links, "text")))
        self._statement = cache(self._make_statement)

    async def search(self, query: Query, limit: int, offset: int) -> Sequence[Fields]:
        """Return fields of matching documents with `rank` and `total` (number of matches), the best first."""
        values = {
            "symbol": query.symbol,
            "upper_bound": query.symbol + LAST_CHARACTER,
            "match": self.match(query),
            "max_hits": MAX_RANKED_HITS,
            "limit": limit,
            "offset": offset,
        }
        return await self.rows(self._statement(self.search_sql), values)

    async def get(self, slug: str) -> tuple[Fields | None, Sequence[Fields]]:
        """Return a document with its parent, and its children. An unknown anchor returns its page."""
        rows = await self.rows(self._statement(DOCUMENT_BY_SLUG), {"slug": slug, "page": slug.partition("#")[0]})
        if not rows:
            return None, ()
        return rows[0], await self.rows(self._statement(CHILDREN), {"slug": rows[0]["slug"]})

    async def read_texts(self, after: int, limit: int) -> Sequence[Fields]:
        """Return id, slug, name, title and text of documents whose id is greater than `after`, in the order of ids."""
        return await self.rows(self._statement(TEXTS), {"after": after, "limit": limit})

    async def find_by_slug(self, slugs: Sequence[str]) -> Sequence[Fields]:
        return await self.rows(self._statement(DOCUMENTS_BY_SLUG), {"slugs": json.dumps(slugs)}) if slugs else ()

    async def has_word(self, word: str, *, in_name: bool) -> bool:
        """Return whether a word of the index starts with `word`. With `in_name`, whether a name contains `word`."""
        values = {"word": word, "upper_bound": word + (FIRST_CHARACTER if in_name else LAST_CHARACTER)}
        return bool(await self.rows(self._statement(HAS_WORD), {**values, "in_name": in_name}))

    async def find_similar_terms(self, word: str) -> list[Term]:
        """Return similar terms. Empty if the database cannot compare words."""
        values = {"candidates": MAX_CANDIDATES, **self.similarity_parameters(word)}
        return [Term(**row) for row in await self.rows(self._statement(self.similar_terms_sql), values)]

    async def read_status(self) -> Fields | None:
        rows = await self.rows(self._statement(STATUS), {})
        return rows[0] if rows else None

    async def edition(self) -> int | None:
        """Return a number that grows when the index is replaced; None if it is not known."""
        return None

    @abstractmethod
    def match(self, query: Query) -> str:
        """Return the query in the syntax of the database."""

    @abstractmethod
    def similarity_parameters(self, word: str) -> Mapping[str, Any]:
        """Return the parameters of `similar_terms_sql` for a word."""

    async def refresh(self) -> None:
        """Load a newer index now. By default each query reads the newest one."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def rows(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Fields]:
        """Return the rows of a statement."""

    def _make_statement(self, sql: str) -> TextClause:
        names = {"schema": self.prefix.format(name=self.index.name), "name": self.index.name}
        return text(
            sql.format(
                documents=self.documents.format(**names),
                listed_slugs=self.listed_slugs,
                can_compare_words=self.can_compare_words.format(**names),
                result_columns=", ".join(self.result_columns),
                links=", ".join(self.index.links),
                above=", ".join(f"above.{name} AS parent_{name}" for name in self.index.links),
                fields=", ".join(f"'{name}', {name}" for name in (*self.result_columns, "rank", "total")),
                **{rank.name.lower(): rank.value for rank in Rank},
                **names,
            )
        )
