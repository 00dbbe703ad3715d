from collections.abc import AsyncIterator

import pytest

from app.accounts.models import User
from app.core.db.database import Database
from app.core.llm.scripted import Scripted
from app.features.chat.runs import Runs


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
