"""Demo collection of the first superuser, with a document about an invented library."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.demo import demo_owner
from opportune.contrib.knowledge.models import DocumentState, KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.db import DemoRows
from opportune.i18n import gettext_lazy as _l

TITLE = _l("Opening hours and loans")
TEXT = _l(
    "The library is open from Tuesday to Friday, 10:00 to 18:00, and on Saturday, 10:00 to 14:00. "
    "You may borrow ten books for four weeks. A late book costs 20 cents a day."
)
demo_collections = DemoRows(KnowledgeCollection, ["Harbour Street Library"], datetime(2026, 1, 5, 9, 42, tzinfo=UTC))


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "the documents")
    missing = await demo_collections.missing(session)
    for created_at, name in missing:
        collection = KnowledgeCollection(name=name, owner_id=owner.id, created_at=created_at)
        session.add(collection)
        await session.flush()
        document = KnowledgeDocument(collection_id=collection.id, title=str(TITLE), state=DocumentState.READY)
        document.passage_count = 1
        session.add(document)
        await session.flush()
        session.add(KnowledgePassage(document_id=document.id, number=1, heading=str(TITLE), text=str(TEXT)))
    return len(missing)


async def clear(session: AsyncSession) -> int:
    return await demo_collections.clear(session)
