"""Tool with which a language model searches the documents of the user."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import CurrentUser, User
from opportune.contrib.knowledge.models import KnowledgeCollection
from opportune.contrib.knowledge.passages import collection_scope, find_passages, readable_passages
from opportune.contrib.knowledge.service import Collections
from opportune.contrib.tools import Source, ToolParts, tool
from opportune.db.models.row_ids import parse_row_id
from opportune.db.sessions.dependencies import ReadSession
from opportune.i18n import gettext_lazy as _l

MAX_COLLECTIONS = 100


async def search_knowledge(
    user: CurrentUser, session: ReadSession, words: str, parts: ToolParts = None
) -> Sequence[Source]:
    """Search the documents of the user, their teams and this site for words or a question. Returns passages."""
    ids = collection_scope.get()
    if parts is not None:
        ids = [row_id for row_id in map(parse_row_id, parts) if row_id]
    passages = await find_passages(session, words, readable_passages(Collections(session, user), ids))
    return [Source(title=passage.place, url=passage.url, text=passage.text) for passage in passages]


async def find_collections(session: AsyncSession, user: User | None) -> dict[str, str]:
    """Return the names of the collections to which an assistant can be limited."""
    query = select(KnowledgeCollection).where(Collections(session, user).readable())
    collections = await session.scalars(query.order_by(col(KnowledgeCollection.name)).limit(MAX_COLLECTIONS))
    return {str(collection.id): collection.name for collection in collections}


search_tool = replace(tool(search_knowledge, status=_l("Searching the documents")), parts=find_collections)
