from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.users.models import User
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.testing import make_user, signed_in_client
from opportune.testing.plugin import settings_for


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    changes = {"storage_url": SecretStr(f"file:{tmp_path / 'uploads'}"), "jobs": "inline"}
    return settings_for(database_url).model_copy(update=changes)


@pytest.fixture
async def ada(database: Database) -> User:
    user = await make_user(database, "ada@example.com")
    assert isinstance(user, User)
    return user


@pytest.fixture
async def browser(app: FastAPI, ada: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, ada) as client:
        yield client
