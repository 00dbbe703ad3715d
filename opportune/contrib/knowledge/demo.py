"""Demo collection of the first superuser, with a document about an invented library."""

from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.demo import demo_owner
from opportune.contrib.knowledge.models import DocumentState, KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.i18n import gettext_lazy as _l

TITLE = _l("Opening hours and loans")
TEXT = _l(
    "The library is open from Tuesday to Friday, 10:00 to 18:00, and on Saturday, 10:00 to 14:00. "
    "You may borrow ten books for four weeks. A late book costs 20 cents a day."
)
CREATED_AT = datetime(2026, 1, 5, 9, 42, tzinfo=UTC)
"""Creation time of the demo collection, which identifies it even if it is renamed."""
is_demo = col(KnowledgeCollection.created_at) == CREATED_AT


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "The documents")
    if await session.scalar(select(col(KnowledgeCollection.id)).where(is_demo)):
        return 0
    collection = KnowledgeCollection(name="Harbour Street Library", owner_id=owner.id, created_at=CREATED_AT)
    session.add(collection)
    await session.flush()
    document = KnowledgeDocument(collection_id=collection.id, title=str(TITLE), state=DocumentState.READY)
    document.passage_count = 1
    session.add(document)
    await session.flush()
    session.add(KnowledgePassage(document_id=document.id, number=1, heading=str(TITLE), text=str(TEXT)))
    return 1


async def clear(session: AsyncSession) -> int:
    deleted = await session.execute(delete(KnowledgeCollection).where(is_demo).returning(col(KnowledgeCollection.id)))
    return len(deleted.all())
