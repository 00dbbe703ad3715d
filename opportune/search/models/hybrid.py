"""Hybrid search of rows by words and meaning, merged by reciprocal rank fusion."""

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
    """Return ids and similarities (0 to 1) of rows by meaning; empty if the embedding is not available."""
    vector = await embeddings.embed_query(query)  # before the first statement, so that no connection waits for it
    if vector is None:
        return {}
    vectors = VECTORS[session.get_bind().dialect.name]
    edition = await vectors.find_edition(session, fields)
    if edition and edition.made_of != embeddings.model.made_of:  # vectors of the new model are not complete
        vector = await embeddings.embed_query(query, edition.made_of)
    if edition is None or vector is None:
        return {}
    await vectors.prepare(session)
    max_distance = 1 - embeddings.model.min_similarity
    nearest = vectors.nearest(within, fields, edition.number, vector, max_distance)
    return {row_id: 1 - distance for row_id, distance in await session.execute(nearest)}


def fuse(
    statement: Select[Any],
    fields: Fields,
    by_words: tuple[Select[Any], Sequence[ColumnElement[Any]]],
    nearest: Iterable[int],
) -> Select[Any]:
    """Merge hits by words and by meaning. Hits of both rank first; on a tie, the hit by words."""
    key = key_of(fields)
    matching, order = by_words
    rank = func.row_number().over(order_by=order).label("rank")
    words = matching.with_only_columns(key.label("id"), rank, maintain_column_froms=True).order_by(None).cte()
    scores = [(row_id, 1 / (SMOOTHING_RANKS + 0.5 + rank)) for rank, row_id in enumerate(nearest, 1)]
    meaning = values(column("id", Integer), column("score", Float), name="meaning").data(scores).cte("meaning")
    all_scores = union_all(
        select(words.c.id, (1.0 / (SMOOTHING_RANKS + words.c.rank)).label("score")),
        select(meaning.c.id, meaning.c.score),
    ).subquery()
    totals = select(all_scores.c.id, func.sum(all_scores.c.score).label("score")).group_by(all_scores.c.id).cte()
    return statement.join(totals, totals.c.id == key).order_by(None).order_by(totals.c.score.desc(), key)
