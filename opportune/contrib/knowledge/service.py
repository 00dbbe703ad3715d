"""Collections and their documents, limited to those that the user may read or change."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, false, or_, select
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
from opportune.contrib.teams.models import TeamMember
from opportune.crud.crud import Crud
from opportune.errors import require_found
from opportune.fields.files import File
from opportune.i18n import gettext as _
from opportune.jobs import defer
from opportune.jobs.management import were_cancelled
from opportune.pagination import Page, Paging, paginate

INDEX_GROUP = "knowledge"
"""Group of the jobs that read documents, so that they run one after the other."""
PASSAGES_PER_PAGE = 30


class StoredFile(NamedTuple):
    """File in the storage."""

    title: str
    name: str
    """Name in the storage."""


class ShownDocument(NamedTuple):
    """A document with the state that pages show: a cancelled job leaves the row unfinished."""

    row: KnowledgeDocument
    is_cancelled: bool

    @property
    def state(self) -> DocumentState:
        return DocumentState.FAILED if self.is_cancelled else self.row.state

    @property
    def fault(self) -> str:
        """Sentence about a failed document; empty otherwise."""
        if self.is_cancelled:
            return _("%(name)s was not read to its end, because its job was cancelled.", name=self.row.title)
        return self.row.fault


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
        return self.readable() if self.may("share") else self._owned() & ~col(KnowledgeCollection.is_site)

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

    async def shown(self, documents: Sequence[KnowledgeDocument]) -> Sequence[ShownDocument]:
        """Return documents with the states that pages show."""
        cancelled_ids = await self._find_cancelled(documents)
        return [ShownDocument(document, document.id in cancelled_ids) for document in documents]

    async def get(self, document_id: int, *, to_change: bool = False) -> KnowledgeDocument:
        """Return a document that the user may read, or change.

        Raises:
            NotFound: There is none, or the user may not do this.
        """
        condition = self.collections.writable() if to_change else self.collections.readable()
        query = select(KnowledgeDocument).join(KnowledgeCollection).where(col(KnowledgeDocument.id) == document_id)
        return require_found(await self.session.scalar(query.where(condition)))

    async def _find_cancelled(self, documents: Sequence[KnowledgeDocument]) -> Collection[int]:
        """Return the ids of unfinished documents whose jobs were cancelled."""
        unfinished = [document for document in documents if not document.state.is_final]
        queued = [(index_document(document.id), document.created_at) for document in unfinished]
        cancelled = await were_cancelled(self.session, queued)
        ids = [document.id for document, is_cancelled in zip(unfinished, cancelled, strict=True) if is_cancelled]
        if not ids:
            return ()
        # A job may have ended after its document was read.
        id_ = col(KnowledgeDocument.id)
        is_unfinished = col(KnowledgeDocument.state).in_((DocumentState.WAITING, DocumentState.READING))
        return (await self.session.scalars(select(id_).where(id_.in_(ids), is_unfinished))).all()

    async def list_passages(self, document: KnowledgeDocument, page: int) -> Page[KnowledgePassage]:
        """Return a page of a document's text."""
        query = select(KnowledgePassage).where(col(KnowledgePassage.document_id) == document.id)
        paging = Paging(page=page, size=PASSAGES_PER_PAGE)
        return await paginate(self.session, query.order_by(col(KnowledgePassage.number)), paging)

    async def require_writable(self, collection_id: int) -> None:
        """Raise NotFound if the user may not change the documents of a collection."""
        query = select(col(KnowledgeCollection.id)).where(col(KnowledgeCollection.id) == collection_id)
        require_found(await self.session.scalar(query.where(self.collections.writable())))

    async def add(self, collection_id: int, files: Sequence[StoredFile], url: str = "") -> None:
        """Add files, and the web page at a URL.

        Raises:
            NotFound: The user may not change the collection.
        """
        await self.require_writable(collection_id)
        documents = [
            KnowledgeDocument(collection_id=collection_id, title=file.title, file=File(file.name)) for file in files
        ]
        if url:
            documents.append(KnowledgeDocument(collection_id=collection_id, title=url[:MAX_TITLE_LENGTH], url=url))
        self.session.add_all(documents)
        await self.session.flush()
        for document in documents:
            defer(self.session, index_document(document.id), group=INDEX_GROUP)

    async def read_again(self, document_id: int) -> KnowledgeDocument:
        """Queue a document again, unless it waits already.

        Raises:
            NotFound: There is none, or the user may not change it.
        """
        document = await self.get(document_id, to_change=True)
        if document.state != DocumentState.WAITING or await self._find_cancelled([document]):
            document.state = DocumentState.WAITING
            defer(self.session, index_document(document.id), group=INDEX_GROUP)
        return document

    async def delete(self, document_id: int) -> KnowledgeDocument:
        """Delete a document with its passages and its file.

        Raises:
            NotFound: There is none, or the user may not change it.
        """
        document = await self.get(document_id, to_change=True)
        await self.session.delete(document)
        return document


def page_of_passage(number: int) -> int:
    """Return the page of a document's text that has the passage with this number."""
    return (number - 1) // PASSAGES_PER_PAGE + 1


async def list_files(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[str]:
    """Return the stored names of the files in the collections that meet a condition."""
    files = select(col(KnowledgeDocument.file)).join(KnowledgeCollection)
    return (await session.scalars(files.where(condition, col(KnowledgeDocument.file) != ""))).all()
