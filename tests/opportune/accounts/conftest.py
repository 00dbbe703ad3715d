"""Users and browsers of the tests of accounts."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

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


def new_client(app: FastAPI, address: str = "127.0.0.1", **headers: str) -> AsyncClient:
    """Return a browser or program without cookies, at this IP address."""
    transport = ASGITransport(app, client=(address, 1))
    return AsyncClient(transport=transport, base_url="http://testserver", headers=headers)


async def is_signed_in(client: AsyncClient) -> bool:
    return (await client.get("/accounts/profile")).status_code == 200


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def token_status(client: AsyncClient, token: str) -> int:
    """Return the status of an API request with this token."""
    return (await client.get("/api/v1/users/me", headers=bearer(token))).status_code


def read_security_log(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "opportune.security"]
