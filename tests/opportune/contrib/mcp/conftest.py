from collections.abc import AsyncIterator
from functools import partial

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.accounts import User
from opportune.db import Database
from opportune.testing import make_token, signed_in_client
from tests.opportune.contrib.mcp.library import ACCEPT, INITIALIZE, LIBRARY, SITE, Connect, connect, create_site
from tests.opportune.contrib.mcp.oauth import Program, register
from tests.opportune.contrib.mcp.reading_room import ROOM


@pytest.fixture
async def site(app: FastAPI) -> FastAPI:
    return create_site(app, LIBRARY)


@pytest.fixture
async def open_library(site: FastAPI, ada: User) -> Connect:
    return partial(connect, site, ada)


@pytest.fixture
async def browser(site: FastAPI, ada: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(site, ada) as browser:
        yield browser


@pytest.fixture
async def http(site: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(site), base_url=SITE) as http:
        yield http


@pytest.fixture
async def program(http: AsyncClient, browser: AsyncClient) -> Program:
    return Program(http, browser, (await register(http))["client_id"])


@pytest.fixture
async def room(app: FastAPI) -> FastAPI:
    return create_site(app, ROOM)


@pytest.fixture
async def open_room(room: FastAPI, ada: User) -> Connect:
    return partial(connect, room, ada)


@pytest.fixture
async def old_program(room: FastAPI, database: Database, ada: User) -> AsyncIterator[AsyncClient]:
    """Client of the protocol before 2026, without the SDK, in a session."""
    headers = ACCEPT | {"Authorization": f"Bearer {await make_token(database, ada)}"}
    async with AsyncClient(transport=ASGITransport(room), base_url=SITE, headers=headers) as program:
        session_id = (await program.post("/mcp", json=INITIALIZE)).headers["Mcp-Session-Id"]
        program.headers["Mcp-Session-Id"] = session_id
        yield program
