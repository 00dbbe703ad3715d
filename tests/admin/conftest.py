from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from app.accounts.models import User
from tests.factories import make_user, signed_in_client


@pytest.fixture
async def superuser(app: FastAPI) -> User:
    return await make_user(app.state.database, "root@example.com", is_superuser=True)


@pytest.fixture
async def admin(app: FastAPI, superuser: User) -> AsyncIterator[AsyncClient]:
    """A browser in which a superuser is signed in."""
    async with signed_in_client(app, superuser) as client:
        yield client
