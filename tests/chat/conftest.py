from collections.abc import AsyncIterator

import pytest

from app.chat import hooks
from opportune.accounts import User
from opportune.answers import flusher, follower, live
from opportune.db import Database
from opportune.llm import AnswerManager, FakeProvider, LanguageModel
from opportune.settings import Settings
from opportune.storage import open_storage


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test would wait for what is saved four times a second and seen ten times."""
    monkeypatch.setattr(flusher, "FLUSH_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(flusher, "LEASE_RENEWAL_SECONDS", 0.1)
    monkeypatch.setattr(follower, "POLL_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(live, "UPDATE_INTERVAL_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def _no_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are asked what a test asks them, and for no titles beside; tests of those have a fixture of this name."""
    monkeypatch.setattr(hooks, "defer", lambda *_, **__: None)


@pytest.fixture
def owner_id(user: User) -> int:
    return user.id


@pytest.fixture
def model() -> FakeProvider:
    """What the answers of `manager` come from; a test writes its script."""
    return FakeProvider("An answer.")


@pytest.fixture
async def manager(database: Database, model: FakeProvider, settings: Settings) -> AsyncIterator[AnswerManager]:
    manager = AnswerManager(database, LanguageModel(lambda: model), storage=open_storage(settings))
    yield manager
    await manager.close()
