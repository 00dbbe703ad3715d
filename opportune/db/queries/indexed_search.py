"""Searches through the search index of a table.

A condition with LIKE is fast for frequent words, because a list stops after a page. For rare words this module first
reads the ids of all matches from the index.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    String,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

from opportune.db.models.search_index import index_name, indexed_columns
from opportune.db.queries.matching import matches, pattern_of, words_of
from opportune.db.queries.paths import AttributePath, Visible, all_rows
from opportune.db.queries.row_count import RowCount, recent_counts
from opportune.db.sessions.trash import with_deleted

TRIGRAM_LENGTH = 3
"""Characters of a trigram. Shorter words are not in the index."""
MAX_MATCHES = 5_000
"""Matches of a rare word."""
MAX_TRIGRAMS = 32
DOTTED_I = "i\u0130"


async def narrow_search(
    session: AsyncSession, searched: Sequence[AttributePath], text: str, visible: Visible = all_rows
) -> Sequence[ColumnElement[bool]]:
    """Return a condition that limits a search to the matches of rare words, or nothing without an index or rare words.

    The caller also needs the conditions of `matching_words`. Frequent words are not read again for some seconds.
    """
    direct = [path for path in searched if not path.relations]
    indexed = [path for path in direct if path.name in _indexed_names(path.end)]
    words = [word for word in words_of(text) if len(word) >= TRIGRAM_LENGTH]
    if not indexed or not words:
        return ()
    others = [path for path in searched if path not in indexed]
    key: Any = indexed[0].end.class_.id
    counts = recent_counts(session)
    for group in [[word] for word in words] if others else [words]:
        identity = key.table, *((path.end, path.name) for path in searched), *group
        if counts.find(identity):
            continue
        branches = [_select_indexed(session, key, indexed, group)]
        for path in others:
            condition = matches(path.attribute, pattern_of(group[0]))
            branches.append(select(key).where(path.exists_where(condition, visible)))
        ids = await _read_ids(session, (union_all(*branches) if others else branches[0]).limit(MAX_MATCHES + 1))
        if len(ids) <= MAX_MATCHES:
            # Literals, because PostgreSQL plans a repeated statement without knowing how few ids there are.
            return [key.in_(bindparam("ids", sorted({*ids}), expanding=True, literal_execute=True, unique=True))]
        counts.add(identity, RowCount(MAX_MATCHES, is_exact=False))
    return ()


async def _read_ids(session: AsyncSession, selected: Select[Any] | CompoundSelect[Any]) -> Sequence[int]:
    """Return the ids in one text, because drivers and SQLAlchemy take long for thousands of rows."""
    (key,) = selected.subquery().columns
    ids = await session.scalar(with_deleted(select(func.aggregate_strings(cast(key, String), ","))))
    return [*map(int, ids.split(","))] if ids else ()


def _indexed_names(mapper: Mapper[Any]) -> Sequence[str]:
    columns: Any = mapper.local_table.columns
    return [mapper.get_property_by_column(columns[name]).key for name in indexed_columns(mapper.local_table)]


def _select_indexed(
    session: AsyncSession, key: Any, indexed: Sequence[AttributePath], words: Sequence[str]
) -> Select[int]:
    """Select the ids of rows whose indexed columns contain all words."""
    patterns = map(pattern_of, words)
    rows = select(key).where(*(or_(*(matches(path.attribute, pattern) for path in indexed)) for pattern in patterns))
    if session.get_bind().dialect.name != "sqlite":
        return rows
    name = index_name(key.table.name)
    index = table(name, column("rowid"))
    return rows.join(index, index.c.rowid == key).where(literal_column(name).op("MATCH")(_fts5_query(words)))


def _fts5_query(words: Sequence[str]) -> str:
    """Return the query for rows with all trigrams of the words, which include the rows with the words."""
    trigrams = [
        word[start : start + TRIGRAM_LENGTH] for word in words for start in range(len(word) - TRIGRAM_LENGTH + 1)
    ]
    terms = ("(" + " OR ".join(_quoted_forms(trigram)) + ")" for trigram in dict.fromkeys(trigrams))
    return " AND ".join([*terms][:MAX_TRIGRAMS])


def _quoted_forms(trigram: str) -> list[str]:
    """Return a trigram with dotted and plain i, which FTS5 keeps apart. It ignores the case of other letters."""
    forms = product(*(DOTTED_I if letter in ("I", *DOTTED_I) else letter for letter in trigram))
    return ['"' + "".join(form).replace('"', '""') + '"' for form in forms]
