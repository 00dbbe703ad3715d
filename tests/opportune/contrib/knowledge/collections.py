"""Collections and documents for tests."""

from typing import Any

from httpx2 import AsyncClient, Response
from sqlalchemy import select
from sqlmodel import col

from opportune.contrib.knowledge import KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.db import Database

GUIDE = b"# Loans\nA loan lasts four weeks.\n\n# Fines\nEach day costs ten cents."


async def make_collection(database: Database, name: str = "Handbook", **fields: Any) -> KnowledgeCollection:
    async with database.writer() as session:
        session.add(collection := KnowledgeCollection(name=name, **fields))
    return collection


async def add_file(client: AsyncClient, collection_id: int, name: str = "guide.md", content: bytes = GUIDE) -> Response:
    return await client.post(f"/knowledge/{collection_id}/documents", files={"files": (name, content)})


async def read_documents(database: Database) -> list[KnowledgeDocument]:
    async with database.reader(fresh=True) as session:
        return [*await session.scalars(select(KnowledgeDocument).order_by(col(KnowledgeDocument.id)))]


async def read_passages(database: Database) -> list[KnowledgePassage]:
    async with database.reader(fresh=True) as session:
        return [*await session.scalars(select(KnowledgePassage).order_by(col(KnowledgePassage.id)))]


async def make_document(database: Database, collection_id: int, *texts: str, page: int = 0) -> KnowledgeDocument:
    """Store a document that has been read, with a passage per text."""
    async with database.writer() as session:
        document = KnowledgeDocument(collection_id=collection_id, title="Guide", passage_count=len(texts))
        session.add(document)
        await session.flush()
        session.add_all(
            KnowledgePassage(document_id=document.id, number=number, page=page, heading="Guide", text=text)
            for number, text in enumerate(texts, 1)
        )
    return document
