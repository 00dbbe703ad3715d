"""The demo collection."""

from opportune.contrib.knowledge.demo import clear, load
from opportune.contrib.knowledge.service import Collections, find_passages, readable_passages
from opportune.db import Database
from opportune.testing import make_user


async def test_first_superuser_can_search_the_demo(database: Database) -> None:
    superuser = await make_user(database, is_superuser=True)
    async with database.writer() as session:
        assert [await load(session), await load(session)] == [1, 0]
        passages = readable_passages(Collections(session, superuser))
        assert len(await find_passages(session, "How many books may I borrow?", passages)) == 1
        assert await clear(session) == 1
