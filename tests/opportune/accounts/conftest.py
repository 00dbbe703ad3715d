"""Users and browsers of the tests of accounts."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing.factories import make_user, signed_in_client


@pytest.fixture
async def user(database: Database) -> User:
    """Ada, whose address is unverified. `user_client` is her browser."""
    return await make_user(database, "ada@example.com")


@pytest.fixture
async def other_browser(app: FastAPI, user: User) -> AsyncIterator[AsyncClient]:
    """Another browser of Ada."""
    async with signed_in_client(app, user) as client:
        yield client


async def is_signed_in(client: AsyncClient) -> bool:
    return (await client.get("/accounts/profile")).status_code == 200
