"""Rows found by words and by meaning, in one order: reciprocal rank fusion."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, Select, column, func, select, union_all, values
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.search.embeddings import Embeddings
from opportune.search.models.indexes import Fields
from opportune.search.models.postgresql_vectors import PostgreSQLVectors
from opportune.search.models.sqlite_vectors import SQLiteVectors
from opportune.search.models.vectors import Vectors, key_of
from opportune.search.vectors import SMOOTHING_RANKS

VECTORS: dict[str, Vectors] = {"sqlite": SQLiteVectors(), "postgresql": PostgreSQLVectors()}


async def find_nearest(
    session: AsyncSession, within: Select[Any] | None, fields: Fields, query: str, embeddings: Embeddings
) -> dict[int, float]:
    """The ids of the rows that mean the like, and how alike: from 0 to 1. None where that cannot be told now."""
    vector = await embeddings.of_question(query)  # before the first statement: no connection waits for the endpoint
    if vector is None:
        return {}
    vectors = VECTORS[session.get_bind().dialect.name]
    edition = await vectors.find_edition(session, fields)
    if edition and edition.made_of != embeddings.model.made_of:  # another one is being made
        vector = await embeddings.of_question(query, edition.made_of)
    if edition is None or vector is None:
        return {}
    await vectors.prepare(session)
    most_distant = 1 - embeddings.model.min_similarity
    nearest = vectors.nearest(within, fields, edition.number, vector, most_distant)
    return {row_id: 1 - distance for row_id, distance in await session.execute(nearest)}


def fused(
    statement: Select[Any],
    fields: Fields,
    by_words: tuple[Select[Any], Sequence[ColumnElement[Any]]],
    nearest: Iterable[int],
) -> Select[Any]:
    """The rows that either has found. What both have found comes first; of equals, what has the words."""
    key = key_of(fields)
    matching, order = by_words
    place = func.row_number().over(order_by=order).label("place")
    worded = matching.with_only_columns(key.label("id"), place, maintain_column_froms=True).order_by(None).cte()
    scores = [(row_id, 1 / (SMOOTHING_RANKS + 0.5 + place)) for place, row_id in enumerate(nearest, 1)]
    meant = values(column("id", Integer), column("score", Float), name="meant").data(scores).cte("meant")
    both = union_all(
        select(worded.c.id, (1.0 / (SMOOTHING_RANKS + worded.c.place)).label("score")),
        select(meant.c.id, meant.c.score),
    ).subquery()
    best = select(both.c.id, func.sum(both.c.score).label("score")).group_by(both.c.id).cte()
    return statement.join(best, best.c.id == key).order_by(None).order_by(best.c.score.desc(), key)
