"""Searches through the search index of a table.

A condition with LIKE is fast for frequent words, because a list stops after a page. For rare words this module first
reads the ids of all matches from the index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sqlalchemy import String, bindparam, column, func, literal_column, or_, select, table
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import ColumnElement, CompoundSelect, Select

from opportune.db.models.indexes import index_name, indexed_columns
from opportune.db.queries.matching import matches, pattern_of, words_of
from opportune.db.queries.paths import AttributePath, Visible, all_rows
from opportune.db.queries.row_count import RowCount, recent_counts
from opportune.db.sessions.trash import with_deleted

TRIGRAM_LENGTH = 3
"""Characters of a trigram. Shorter words are not in the index."""
MAX_MATCHES = 5_000
"""Maximum number of rows with a rare word."""
MAX_TRIGRAMS = 32
"""Trigrams in a query of the index. The rows are also compared with the whole words."""
DOTTED_I = "i\u0130"
"""Letters that are the same without regard to case in the database, but not in the index."""


async def narrow_search(
    session: AsyncSession, searched: Sequence[AttributePath], text: str, visible: Visible = all_rows
) -> Sequence[ColumnElement[bool]]:
    """Return the condition that limits a search to the matches of rare words. Empty without an index or rare words.

    The caller also needs the conditions of `matching_words`. Frequent words are not read again for some seconds.
    """
    indexed = [path for path in searched if not path.relations and path.name in _indexed_names(path.end)]
    others = [path for path in searched if path not in indexed]
    words = [word for word in words_of(text) if len(word) >= TRIGRAM_LENGTH]
    if not indexed or not words:
        return ()
    search = IndexSearch(session, indexed, others, visible)
    # One query finds the rows with all words in the index. With other columns, each word may be in another one.
    groups = [[word] for word in words] if others else [words]
    for group in groups:
        ids = await search.find_rare(group)
        if ids is not None:
            return [search.is_one_of(ids)]
    return ()


@dataclass
class IndexSearch:
    """Search in the indexed columns of a table, and in columns without an index."""

    session: AsyncSession
    indexed: Sequence[AttributePath]
    others: Sequence[AttributePath]
    visible: Visible

    @property
    def id_column(self) -> ColumnElement[int]:
        column: ColumnElement[int] = self.indexed[0].end.class_.id  # all are columns of one table
        return column

    async def find_rare(self, words: Sequence[str]) -> Sequence[int] | None:
        """Return the ids of the rows with these words, or None if more than `MAX_MATCHES` rows have them."""
        counts = recent_counts(self.session)
        columns = [(path.end, path.name) for path in (*self.indexed, *self.others)]
        key = (*columns, *words)
        if counts.find(key):
            return None
        ids = await _read_ids(self.session, self._select(words).limit(MAX_MATCHES + 1))
        if len(ids) <= MAX_MATCHES:
            return ids
        counts.add(key, RowCount(MAX_MATCHES, is_exact=False))
        return None

    def is_one_of(self, ids: Sequence[int]) -> ColumnElement[bool]:
        # Literals, because PostgreSQL plans a repeated statement without knowing how few ids there are.
        values: Any = bindparam("ids", sorted({*ids}), expanding=True, literal_execute=True, unique=True)
        return self.id_column.in_(values)

    def _select(self, words: Sequence[str]) -> CompoundSelect[int]:
        """Select the ids of rows with all words in the index or, if it is one word, in another column."""
        others = [
            select(self.id_column).where(path.exists_where(matches(path.attribute, pattern), self.visible))
            for path, pattern in product(self.others, map(pattern_of, words))
        ]
        return self._select_indexed(words).union_all(*others)

    def _select_indexed(self, words: Sequence[str]) -> Select[int]:
        rows = select(self.id_column)
        for pattern in map(pattern_of, words):
            rows = rows.where(or_(*(matches(path.attribute, pattern) for path in self.indexed)))
        if self.session.get_bind().dialect.name != "sqlite":
            return rows
        indexed_table: Any = self.indexed[0].end.local_table
        name = index_name(indexed_table.name)
        index = table(name, column("rowid"))
        is_match = literal_column(name).op("MATCH")(_fts5_query(words))
        return rows.join(index, index.c.rowid == self.id_column).where(is_match)


async def _read_ids(session: AsyncSession, selected: CompoundSelect[int]) -> Sequence[int]:
    """Return the ids in one text, because drivers and SQLAlchemy take long for thousands of rows."""
    (key,) = selected.subquery().columns
    ids = await session.scalar(with_deleted(select(func.aggregate_strings(key.cast(String), ","))))
    return [*map(int, ids.split(","))] if ids else ()


def _indexed_names(mapper: Mapper[Any]) -> Sequence[str]:
    columns: Any = mapper.local_table.columns
    return [mapper.get_property_by_column(columns[name]).key for name in indexed_columns(mapper.local_table)]


def _fts5_query(words: Sequence[str]) -> str:
    """Return the query for rows with all trigrams of the words, which include the rows with the words."""
    trigrams: dict[str, None] = {}
    for word in words:
        for start in range(len(word) - TRIGRAM_LENGTH + 1):
            trigrams[word[start : start + TRIGRAM_LENGTH]] = None
    terms = [f"({' OR '.join(_quoted_forms(trigram))})" for trigram in [*trigrams][:MAX_TRIGRAMS]]
    return " AND ".join(terms)


def _quoted_forms(trigram: str) -> list[str]:
    """Return a trigram with dotted and plain i, which FTS5 keeps apart. It ignores the case of other letters."""
    letters = [DOTTED_I if letter in ("I", *DOTTED_I) else letter for letter in trigram]
    forms = ["".join(form).replace('"', '""') for form in product(*letters)]
    return [f'"{form}"' for form in forms]
