"""Search by words and meaning together, whose rankings are merged."""

from collections.abc import Iterable
from typing import Any, TypeVar

from sqlalchemy import Float, Integer, Select, column, func, select, union_all, values
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.search.embeddings import Embeddings
from opportune.search.indexes import Fields, Matches
from opportune.search.registry import VECTORS

SMOOTHING_RANKS = 60
"""Constant k of reciprocal rank fusion, whose score is 1 / (k + rank). A larger k reduces the weight of first ranks."""
Item = TypeVar("Item")


def fuse_rankings(rankings: Iterable[Iterable[Item]]) -> list[Item]:
    """Merge rankings by reciprocal rank fusion. On a tie, the item of the first ranking wins."""
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0) + 1 / (SMOOTHING_RANKS + rank)
    return sorted(scores, key=lambda item: -scores[item])


async def find_nearest(
    session: AsyncSession, within: Select[Any] | None, fields: Fields, query: str, embeddings: Embeddings
) -> dict[int, float]:
    """Return the similarity (0 to 1) of the nearest rows by id; empty if the model does not respond in time.

    `within` selects the rows to compare. None compares all rows.
    """
    # Before the first statement, so that no database connection is held during the request.
    vector = await embeddings.embed_query(query)
    if vector is None:
        return {}
    vectors = VECTORS[session.get_bind().dialect.name]
    edition = await vectors.find_edition(session, fields)
    if edition and edition.made_of != embeddings.model.made_of:
        # The job has not yet embedded all rows with the new model, so compare with the vectors of the old one.
        vector = await embeddings.embed_query(query, edition.made_of)
    if edition is None or vector is None:
        return {}
    await vectors.prepare(session)
    max_distance = 1 - embeddings.model.min_similarity
    nearest = vectors.nearest(within, fields, edition.number, vector, max_distance)
    return {row_id: 1 - distance for row_id, distance in await session.execute(nearest)}


def fuse(statement: Select[Any], fields: Fields, matches: Matches, nearest: Iterable[int]) -> Select[Any]:
    """Merge the rows that full-text search found with the nearest rows by meaning, by reciprocal rank fusion.

    A row in both rankings gets the sum of its scores. On a tie, the row of the full-text search wins, because the ranks
    of the other one are 0.5 larger.

    Args:
        statement: Selects the searched rows.
        fields: The indexed fields of the model.
        matches: The rows that full-text search found.
        nearest: Ids of the nearest rows by meaning, the nearest first.
    """
    key = fields.key
    rank = func.row_number().over(order_by=matches.relevance).label("rank")
    words = matches.rows.with_only_columns(key.label("id"), rank, maintain_column_froms=True).order_by(None).cte()
    scores = [(row_id, 1 / (SMOOTHING_RANKS + 0.5 + number)) for number, row_id in enumerate(nearest, 1)]
    meaning = values(column("id", Integer), column("score", Float), name="meaning").data(scores).cte("meaning")
    all_scores = union_all(
        select(words.c.id, (1.0 / (SMOOTHING_RANKS + words.c.rank)).label("score")),
        select(meaning.c.id, meaning.c.score),
    ).subquery()
    totals = select(all_scores.c.id, func.sum(all_scores.c.score).label("score")).group_by(all_scores.c.id).cte()
    return statement.join(totals, totals.c.id == key).order_by(None).order_by(totals.c.score.desc(), key)
