"""Search in the passages of collections, by words and by meaning."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from itertools import combinations

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.context import use_value
from opportune.contrib.knowledge.models import KnowledgeCollection, KnowledgeDocument, KnowledgePassage, passage_search
from opportune.contrib.knowledge.service import Collections
from opportune.search.embeddings import EMBEDDINGS
from opportune.search.folding import fold
from opportune.search.hybrid import fuse_rankings
from opportune.search.query import Query
from opportune.search.questions import key_words, queries_for

MAX_PAIRED_WORDS = 4
"""Key words of which a passage must contain two. A query has at most twelve words, so six pairs."""
MAX_SINGLE_WORDS = 5
"""Key words that are searched alone, if few passages contain two of them."""
MAX_CANDIDATES = 200
"""Number of matching passages, the newest first, that are ranked on PostgreSQL."""
MAX_FUSED = 20
"""Number of passages of each search that are merged."""
collection_scope: ContextVar[Sequence[int] | None] = ContextVar("collection_scope", default=None)
"""Ids of the collections of `only_collections`."""


def only_collections(ids: Sequence[int] | None) -> AbstractContextManager[None]:
    """Limit searches for language models in this block to these collections, if the user may read them.

    None searches all collections that the user may read.
    """
    return use_value(collection_scope, ids)


def readable_passages(collections: Collections, ids: Sequence[int] | None = None) -> Select[KnowledgePassage]:
    """Select the passages that the user may read, optionally of some collections."""
    documents = select(col(KnowledgeDocument.id)).join(KnowledgeCollection).where(collections.readable())
    if ids is not None:
        documents = documents.where(col(KnowledgeCollection.id).in_(ids))
    return select(KnowledgePassage).where(col(KnowledgePassage.document_id).in_(documents))


def _precise_queries(question: str) -> Iterator[str]:
    """Yield queries for names, for all key words, and for two of the first key words."""
    # The last query is for any of the words, which `_find_by_any_word` does with weights.
    *precise_queries, _any_word = [*queries_for(question)] or [""]
    yield from precise_queries
    if pairs := [*combinations(key_words(question)[:MAX_PAIRED_WORDS], 2)]:
        yield " or ".join(f'"{word}" "{other_word}"' for word, other_word in pairs)


async def _find_by_words(
    session: AsyncSession, query: str, within: Select[KnowledgePassage]
) -> Sequence[KnowledgePassage]:
    statement = passage_search.search(session, query, within)
    if session.get_bind().dialect.name == "sqlite":
        return (await session.scalars(statement.limit(MAX_FUSED))).all()
    # PostgreSQL's rank would parse the text of each passage again.
    newest = statement.order_by(None).order_by(col(KnowledgePassage.id).desc()).limit(MAX_CANDIDATES)
    words = Query.parse(query).highlighted_words

    def count_words(passage: KnowledgePassage) -> tuple[int, int]:
        folded = fold(f"{passage.heading} {passage.text}")
        counts = [folded.count(word) for word in words]
        return len([count for count in counts if count]), sum(counts)

    return sorted((await session.scalars(newest)).all(), key=count_words, reverse=True)[:MAX_FUSED]


async def _find_by_any_word(
    session: AsyncSession, question: str, within: Select[KnowledgePassage]
) -> list[KnowledgePassage]:
    """Return passages with words that begin with a key word. Rare words count more."""
    weights: dict[KnowledgePassage, float] = {}
    for word in key_words(question)[:MAX_SINGLE_WORDS]:
        rows = await _find_by_words(session, word, within)
        for passage in rows:
            weights[passage] = weights.get(passage, 0) + 1 / len(rows)
    return sorted(weights, key=lambda passage: -weights[passage])


async def find_passages(
    session: AsyncSession, question: str, within: Select[KnowledgePassage], limit: int = 5
) -> list[KnowledgePassage]:
    """Return the passages about a question, the best first: by words, and by meaning if EMBEDDING_MODEL is set."""
    rankings: list[Sequence[KnowledgePassage]]
    rankings = [await _find_by_words(session, query, within) for query in _precise_queries(question)]
    if sum(map(len, rankings)) < MAX_FUSED:
        rankings.append(await _find_by_any_word(session, question, within))
    if session.info.get(EMBEDDINGS):
        by_meaning = await passage_search.search_hybrid(session, question, within)
        rankings.append((await session.scalars(by_meaning.limit(MAX_FUSED))).all())
    return fuse_rankings(rankings)[:limit]
