from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.accounts import User
from opportune.db import Database
from opportune.testing import make_user, signed_in_client
from tests.opportune.contrib.mcp.library import LIBRARY, SITE, create_site
from tests.opportune.contrib.mcp.oauth import register


@pytest.fixture
async def site(app: FastAPI) -> FastAPI:
    return create_site(app, LIBRARY)


@pytest.fixture
async def ada(database: Database) -> User:
    return await make_user(database, "ada@example.com")


@pytest.fixture
async def browser(site: FastAPI, ada: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(site, ada) as browser:
        yield browser


@pytest.fixture
async def program(site: FastAPI) -> AsyncIterator[AsyncClient]:
    """HTTP client without cookies."""
    async with AsyncClient(transport=ASGITransport(site), base_url=SITE) as program:
        yield program


@pytest.fixture
async def client_id(program: AsyncClient) -> str:
    return str((await register(program))["client_id"])
