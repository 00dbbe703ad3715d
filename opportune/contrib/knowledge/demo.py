"""Demo collection of the first superuser, with two documents about an invented library."""

from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.demo import demo_owner
from opportune.contrib.knowledge.models import DocumentState, KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.i18n import gettext_lazy as _l

DESCRIPTION = _l("Opening hours and rules of the library.")
DOCUMENTS = {
    _l("Opening hours and loans"): _l(
        "The library is open from Tuesday to Friday, 10:00 to 18:00, and on Saturday, 10:00 to 14:00. "
        "You may borrow ten books for four weeks. A late book costs 20 cents a day."
    ),
    _l("Rooms of the library"): _l(
        "The reading room has 24 seats, with a socket at each. Please be quiet there. "
        "Two rooms for groups can be booked for up to three hours a day, at the earliest two weeks before."
    ),
}
CREATED_AT = datetime(2026, 1, 5, 9, 42, tzinfo=UTC)
"""Creation time of the demo collection, which identifies it even if it is renamed."""
is_demo = col(KnowledgeCollection.created_at) == CREATED_AT


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "The documents")
    if await session.scalar(select(col(KnowledgeCollection.id)).where(is_demo)):
        return 0
    collection = KnowledgeCollection(name="Harbour Street Library", owner_id=owner.id, created_at=CREATED_AT)
    collection.description = str(DESCRIPTION)
    session.add(collection)
    await session.flush()
    documents = [
        KnowledgeDocument(collection_id=collection.id, title=str(title), state=DocumentState.READY, passage_count=1)
        for title in DOCUMENTS
    ]
    session.add_all(documents)
    await session.flush()
    for document, text in zip(documents, DOCUMENTS.values(), strict=True):
        session.add(KnowledgePassage(document_id=document.id, number=1, heading=document.title, text=str(text)))
    return 1


async def clear(session: AsyncSession) -> int:
    deleted = await session.execute(delete(KnowledgeCollection).where(is_demo).returning(col(KnowledgeCollection.id)))
    return len(deleted.all())
