"""A superuser, and the user whose account they use."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.accounts.models import AccountEvent, User
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.stored_rows import read_all

BOSS, ADA = "boss@example.com", "ada@example.com"
REASON = "She asked why her list is empty"
END = "/accounts/impersonation/end"


@pytest.fixture
async def ada(user: User) -> User:
    return user


@pytest.fixture
async def boss_client(app: FastAPI, database: Database) -> AsyncIterator[AsyncClient]:
    """Browser of a superuser with a confirmed identity."""
    user = await make_user(database, BOSS, is_superuser=True)
    async with signed_in_client(app, user) as client:
        await client.post("/accounts/confirm", data={"current_password": PASSWORD})
        yield client


async def impersonate(client: AsyncClient, user: User, reason: str = REASON, *, may_write: bool = False) -> Response:
    form = {"reason": reason, **({"may_write": "y"} if may_write else {})}
    return await client.post(f"/admin/user/impersonate/{user.id}", data=form)


async def read_events(database: Database, user: User) -> list[AccountEvent]:
    return await read_all(database, AccountEvent, user_id=user.id)
