"""Personal data in the knowledge base: collections of the user with their documents."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.knowledge.models import KnowledgeCollection, KnowledgeDocument
from opportune.contrib.knowledge.service import list_files
from opportune.feature import Person, PersonalData

EXPORTED_FIELDS = {"collection_id", "title", "url", "file", "state", "created_at"}


async def read(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    is_owner = col(KnowledgeCollection.owner_id) == person.id
    collections = await session.scalars(select(KnowledgeCollection).where(is_owner))
    documents = await session.scalars(select(KnowledgeDocument).join(KnowledgeCollection).where(is_owner))
    return {
        "collections": [row.model_dump(include={"id", "name", "description", "created_at"}) for row in collections],
        "documents": [row.model_dump(include=EXPORTED_FIELDS) for row in documents],
    }


async def list_files_of_user(session: AsyncSession, person: Person) -> Sequence[str]:
    return await list_files(session, col(KnowledgeCollection.owner_id) == person.id)


personal_data = PersonalData(
    summary="Your collections of documents with their files, except those of teams", read=read, files=list_files_of_user
)
