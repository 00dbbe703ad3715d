"""The demo collection."""

from sqlalchemy import func, select
from sqlmodel import col

from opportune.contrib.knowledge.demo import clear, load
from opportune.contrib.knowledge.models import KnowledgeCollection, KnowledgePassage
from opportune.contrib.knowledge.service import Collections, find_passages, readable_passages
from opportune.db import Database
from opportune.testing import make_user
from tests.opportune.contrib.knowledge.collections import make_collection


async def test_first_superuser_can_search_the_demo(database: Database) -> None:
    superuser = await make_user(database, is_superuser=True)
    async with database.writer() as session:
        assert [await load(session), await load(session)] == [1, 0]
    async with database.reader() as session:
        passages = readable_passages(Collections(session, superuser))
        found = await find_passages(session, "How many books may I borrow?", passages)
    assert found[0].heading == "Opening hours and loans"


async def test_clear_keeps_collections_of_users(database: Database) -> None:
    superuser = await make_user(database, is_superuser=True)
    other_collection = await make_collection(database, owner_id=superuser.id)
    async with database.writer() as session:
        await load(session)
    async with database.writer() as session:
        assert await clear(session) == 1
    async with database.reader() as session:
        assert list(await session.scalars(select(col(KnowledgeCollection.id)))) == [other_collection.id]
        assert await session.scalar(select(func.count()).select_from(KnowledgePassage)) == 0
