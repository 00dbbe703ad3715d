from collections.abc import AsyncIterator

import pytest

from app.chat.answer_manager import AnswerManager
from opportune.accounts import User
from opportune.db import Database
from opportune.llm import FakeProvider, LanguageModel


@pytest.fixture
def owner_id(user: User) -> int:
    return user.id


@pytest.fixture
def model() -> FakeProvider:
    """What the answers of `manager` come from; a test writes its script."""
    return FakeProvider("An answer.")


@pytest.fixture
async def manager(database: Database, model: FakeProvider) -> AsyncIterator[AnswerManager]:
    manager = AnswerManager(database, LanguageModel(lambda: model))
    yield manager
    await manager.close()
