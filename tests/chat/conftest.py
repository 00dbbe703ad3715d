from collections.abc import AsyncIterator

import pytest

from app.chat.runs import Runs
from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.llm.fake import Scripted


@pytest.fixture
async def owner_id(database: Database) -> int:
    async with database.writer() as session:
        user = User(email="owner@example.com", hashed_password="none")
        session.add(user)
        await session.flush()
        return user.id


@pytest.fixture
def model() -> Scripted:
    """What the answers of `runs` come from; a test writes its script."""
    return Scripted("An answer.")


@pytest.fixture
async def runs(database: Database, model: Scripted) -> AsyncIterator[Runs]:
    runs = Runs(database, model)
    yield runs
    await runs.close()
