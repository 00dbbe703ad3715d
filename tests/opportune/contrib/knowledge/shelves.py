"""Collections and documents for tests."""

from dataclasses import dataclass
from typing import Any

from httpx2 import AsyncClient, Response

from opportune.contrib.knowledge import KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.db import Database
from opportune.testing import RecordedJobs
from tests.opportune.stored_rows import add_rows, read_all

GUIDE = b"# Loans\nA loan lasts four weeks.\n\n# Fines\nEach day costs ten cents."


async def make_collection(database: Database, name: str = "Handbook", **fields: Any) -> KnowledgeCollection:
    async with database.writer() as session:
        session.add(collection := KnowledgeCollection(name=name, **fields))
    return collection


async def add_file(client: AsyncClient, collection_id: int, name: str = "guide.md", content: bytes = GUIDE) -> Response:
    return await client.post(f"/knowledge/{collection_id}/documents", files={"files": (name, content)})


async def read_documents(database: Database) -> list[KnowledgeDocument]:
    return await read_all(database, KnowledgeDocument)


async def read_passages(database: Database) -> list[KnowledgePassage]:
    return await read_all(database, KnowledgePassage)


@dataclass(frozen=True)
class Shelf:
    """A collection of a user, with the browser of the user."""

    client: AsyncClient
    database: Database
    jobs: RecordedJobs
    id: int

    @property
    def path(self) -> str:
        return f"/knowledge/{self.id}"

    async def add(self, name: str = "guide.md", content: bytes = GUIDE) -> KnowledgeDocument:
        await add_file(self.client, self.id, name, content)
        return (await read_documents(self.database))[-1]

    async def add_and_read(self, name: str = "guide.md", content: bytes = GUIDE) -> KnowledgeDocument:
        await self.add(name, content)
        await self.jobs.work()
        return (await read_documents(self.database))[-1]

    async def add_page(self, url: str) -> KnowledgeDocument:
        await self.client.post(f"{self.path}/documents", data={"url": url})
        await self.jobs.work()
        return (await read_documents(self.database))[-1]

    async def html(self) -> str:
        return (await self.client.get(self.path)).text


async def make_document(database: Database, collection_id: int, *texts: str, page: int = 0) -> KnowledgeDocument:
    document = KnowledgeDocument(collection_id=collection_id, title="Guide", passage_count=len(texts))
    await add_rows(database, document)
    for number, text in enumerate(texts, 1):
        passage = KnowledgePassage(document_id=document.id, number=number, page=page, heading="Guide", text=text)
        await add_rows(database, passage)
    return document
