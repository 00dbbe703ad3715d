"""Tables, and recorded calls of hooks."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db import Database, after_create, after_delete, after_update, before_create, before_delete, before_update
from opportune.db.hooks.registry import temporary_hooks
from tests.opportune.db.hooks.plays import Play
from tests.opportune.tables import make_tables


@pytest.fixture(autouse=True)
def _temporary_hooks() -> Iterator[None]:
    with temporary_hooks():
        yield


@pytest.fixture
async def database(database: Database) -> Database:
    await make_tables(database, Play)
    return database


@pytest.fixture
def calls() -> list[str]:
    """Calls of the hooks of plays, in order."""
    calls: list[str] = []

    def register(decorator: Any, name: str) -> None:
        async def hook(session: AsyncSession, play: Play) -> None:
            calls.append(f"{name} {play.title}")

        decorator(Play)(hook)

    for decorator in (before_create, after_create, before_update, after_update, before_delete, after_delete):
        register(decorator, decorator.__name__)
    return calls
