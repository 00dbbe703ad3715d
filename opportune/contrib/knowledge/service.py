"""Collections, and the search in their passages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import combinations
from typing import Any

from sqlalchemy import ColumnElement, Select, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.knowledge.jobs import index_document
from opportune.contrib.knowledge.models import (
    MAX_TITLE_LENGTH,
    DocumentState,
    KnowledgeCollection,
    KnowledgeDocument,
    KnowledgePassage,
    passage_search,
)
from opportune.contrib.teams.models import TeamMember
from opportune.crud.crud import Crud
from opportune.errors import NotFound
from opportune.fields.files import File
from opportune.jobs import defer
from opportune.pagination import Page, Paging, paginate
from opportune.search.query import Query, fold, key_words, queries_for
from opportune.search.vectors import EMBEDDINGS, fuse_rankings

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
INDEX_GROUP = "knowledge"
"""Documents are read one after the other."""
PASSAGES_PER_PAGE = 30


class Collections(Crud[KnowledgeCollection]):
    """Collections of the user, of all teams of the user, and of the site."""

    owner_column = "owner_id"
    team_column = "team_id"
    search = ("name", "description")
    sort = ("name", "created_at")
    order = ("name",)

    def readable(self) -> ColumnElement[bool]:
        return self._owned() | col(KnowledgeCollection.is_site)

    def writable(self) -> ColumnElement[bool]:
        if self.may("share"):
            return self.readable()
        return self._owned() & ~col(KnowledgeCollection.is_site)

    def readonly_fields(self) -> set[str]:
        return set() if self.may("share") else {"is_site"}

    async def assign(self, row: KnowledgeCollection, values: Any) -> None:
        """Let the site own the collection if it is for everyone, otherwise the user or the current team."""
        await super().assign(row, values)
        if row.is_site:
            row.owner_id = row.team_id = None
        elif row.owner_id is None and row.team_id is None and self.user:
            row.owner_id = self.user.id

    def _owned(self) -> ColumnElement[bool]:
        if self.user is None:
            return false()
        teams = select(col(TeamMember.team_id)).where(col(TeamMember.user_id) == self.user.id)
        return or_(col(KnowledgeCollection.owner_id) == self.user.id, col(KnowledgeCollection.team_id).in_(teams))


class Documents:
    """Documents of the collections that a user may read."""

    def __init__(self, collections: Collections) -> None:
        self.collections = collections
        self.session: AsyncSession = collections.session

    async def list(self, collection_id: int, paging: Paging) -> Page[KnowledgeDocument]:
        """Return a page of the documents of a collection, the newest first."""
        query = select(KnowledgeDocument).where(col(KnowledgeDocument.collection_id) == collection_id)
        return await paginate(self.session, query.order_by(col(KnowledgeDocument.id).desc()), paging)

    async def get(self, document_id: int, *, to_change: bool = False) -> KnowledgeDocument:
        """Return a document that the user may read, or change. Raises NotFound."""
        condition = self.collections.writable() if to_change else self.collections.readable()
        query = select(KnowledgeDocument).join(KnowledgeCollection).where(col(KnowledgeDocument.id) == document_id)
        document: KnowledgeDocument | None = await self.session.scalar(query.where(condition))
        if document is None:
            raise NotFound
        return document

    async def list_passages(self, document: KnowledgeDocument, passage: int, page: int) -> Page[KnowledgePassage]:
        """Return the page of a document's text with a passage. If that is 0, return the page with this number."""
        if passage:
            page = (passage - 1) // PASSAGES_PER_PAGE + 1
        query = select(KnowledgePassage).where(col(KnowledgePassage.document_id) == document.id)
        paging = Paging(page=page, size=PASSAGES_PER_PAGE)
        return await paginate(self.session, query.order_by(col(KnowledgePassage.number)), paging)

    async def require_writable(self, collection_id: int) -> None:
        """Raise NotFound if the user may not change the documents of a collection."""
        query = select(col(KnowledgeCollection.id)).where(col(KnowledgeCollection.id) == collection_id)
        if await self.session.scalar(query.where(self.collections.writable())) is None:
            raise NotFound

    async def add(self, collection_id: int, files: Sequence[tuple[str, str]], url: str = "") -> None:
        """Add stored files, given as title and stored name, and the web page at a URL.

        Raises:
            NotFound: The user may not change the collection.
        """
        await self.require_writable(collection_id)
        documents = [
            KnowledgeDocument(collection_id=collection_id, title=title, file=File(name)) for title, name in files
        ]
        if url:
            documents.append(KnowledgeDocument(collection_id=collection_id, title=url[:MAX_TITLE_LENGTH], url=url))
        self.session.add_all(documents)
        await self.session.flush()
        for document in documents:
            defer(self.session, index_document(document.id), group=INDEX_GROUP)

    async def read_again(self, document_id: int) -> KnowledgeDocument:
        """Queue a document again, unless it waits already. Raises NotFound."""
        document = await self.get(document_id, to_change=True)
        if document.state != DocumentState.WAITING:
            document.state = DocumentState.WAITING
            defer(self.session, index_document(document.id), group=INDEX_GROUP)
        return document

    async def delete(self, document_id: int) -> KnowledgeDocument:
        """Delete a document with its passages and its file. Raises NotFound."""
        document = await self.get(document_id, to_change=True)
        await self.session.delete(document)
        return document


@contextmanager
def only_collections(ids: Sequence[int] | None) -> Iterator[None]:
    """Limit searches for language models in this block to these collections, if the user may read them.

    None searches all collections that the user may read.
    """
    token = collection_scope.set(ids)
    try:
        yield
    finally:
        collection_scope.reset(token)


async def list_files(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[str]:
    """Return the stored names of the files in the collections that meet a condition."""
    files = select(col(KnowledgeDocument.file)).join(KnowledgeCollection)
    return (await session.scalars(files.where(condition, col(KnowledgeDocument.file) != ""))).all()


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
    # PostgreSQL's rank parses each text again, which takes 0.3 ms for a passage.
    newest = statement.order_by(None).order_by(col(KnowledgePassage.id).desc()).limit(MAX_CANDIDATES)
    words = Query.parse(query).highlighted_words

    def count_words(passage: KnowledgePassage) -> tuple[int, int]:
        folded = fold(f"{passage.heading} {passage.text}")
        return sum(word in folded for word in words), sum(map(folded.count, words))

    matches = (await session.scalars(newest)).all()
    return sorted(matches, key=count_words, reverse=True)[:MAX_FUSED]


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
