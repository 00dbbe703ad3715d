"""Fixtures for tests of answers. A `conftest.py` imports the ones it needs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.contrib.answers.engine import flusher, follower
from opportune.contrib.answers.engine.engine import AnswerEngine
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.engine.resources import AnswerResources
from opportune.contrib.llm import FakeProvider, LanguageModel
from opportune.db.database import Database
from opportune.storage import open_storage

__all__ = ["create_manager", "manager", "model", "owner_id", "short_intervals"]


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save and poll more often, so that tests wait less."""
    monkeypatch.setattr(flusher, "FLUSH_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(flusher, "LEASE_RENEWAL_SECONDS", 0.1)
    monkeypatch.setattr(follower, "POLL_INTERVAL_SECONDS", 0.02)


@pytest.fixture
def owner_id(user: User) -> int:
    return user.id


@pytest.fixture
def model() -> FakeProvider:
    """The scripted model of `manager`."""
    return FakeProvider("An answer.")


def create_manager(database: Database, llm: LanguageModel, **resources: Any) -> AnswerManager:
    """Return the manager of a process with these `AnswerResources`."""
    return AnswerManager(AnswerEngine(AnswerResources(database=database, llm=llm, **resources)))


@pytest.fixture
async def manager(database: Database, model: FakeProvider, settings: Settings) -> AsyncIterator[AnswerManager]:
    """A manager that starts answers as the site does, closed with the test."""
    manager = create_manager(database, LanguageModel(lambda: model), storage=open_storage(settings, database))
    yield manager
    await manager.engine.close()
