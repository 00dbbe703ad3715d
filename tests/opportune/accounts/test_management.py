"""Functions of the commands that create superusers and set passwords."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select

from opportune.accounts.management import create_superuser, set_password
from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.testing.factories import PASSWORD, make_user, signed_in_client

EMAIL = "ada@example.com"


async def test_migrations_create_no_account(database: Database) -> None:
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 0


async def test_created_superuser_can_sign_in(client: AsyncClient, database: Database) -> None:
    async with database.writer() as session:
        user = await create_superuser(session, "Ada@Example.com", PASSWORD)

    assert (user.email, user.is_superuser) == (EMAIL, True)
    response = await client.post("/accounts/login", data={"email": EMAIL, "password": PASSWORD})
    assert response.status_code == 303


async def test_invalid_superuser_is_refused(database: Database) -> None:
    await make_user(database, EMAIL)
    for email, password, message in (
        ("nonsense", PASSWORD, "nonsense is not a valid e-mail address"),
        (EMAIL, "qwerty123", "too easy to guess"),
        (EMAIL, "half a character: \ud800", "invalid characters"),
        ("ADA@example.com", PASSWORD, "already has an account"),
    ):
        with pytest.raises(OperatorError, match=message) as refused:
            async with database.writer() as session:
                await create_superuser(session, email, password)

        assert "\n" not in str(refused.value)
        assert password not in str(refused.value)


async def test_set_password_ends_all_sessions(app: FastAPI, database: Database) -> None:
    user = await make_user(database, EMAIL)
    async with signed_in_client(app, user) as client:
        async with database.writer() as session:
            await set_password(session, "ADA@example.com", "another good password")

        assert (await client.get("/accounts/profile")).status_code == 303


async def test_password_of_an_unknown_user_is_refused(database: Database) -> None:
    async with database.writer() as session:
        with pytest.raises(OperatorError, match=r"There is no user with the e-mail eve@example\.com"):
            await set_password(session, "eve@example.com", PASSWORD)
