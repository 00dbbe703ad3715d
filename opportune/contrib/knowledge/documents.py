"""Documents of the collections that a user may read: added, read again and deleted."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.knowledge.jobs import index_document
from opportune.contrib.knowledge.models import (
    MAX_TITLE_LENGTH,
    DocumentState,
    KnowledgeCollection,
    KnowledgeDocument,
    KnowledgePassage,
)
from opportune.contrib.knowledge.service import Collections
from opportune.errors import NotFound
from opportune.fields.files import File
from opportune.jobs import defer
from opportune.pagination import Page, Paging, paginate

INDEX_GROUP = "knowledge"
"""Documents are read one after the other."""
PASSAGES_PER_PAGE = 30


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
