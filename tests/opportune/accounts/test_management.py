"""Functions of commands that create superusers and demo users, and set passwords."""

import pytest
from httpx2 import AsyncClient

from opportune.accounts.demo import EMAILS, FIRST_CREATED_AT, clear, demo_owner, load
from opportune.accounts.management import create_superuser, set_password
from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.testing.factories import PASSWORD, make_user
from tests.opportune.stored_rows import read_all

EMAIL = "ada@example.com"


async def test_created_superuser_can_sign_in(client: AsyncClient, database: Database) -> None:
    assert await read_all(database, User) == [], "migrations create no account"
    async with database.writer() as session:
        user = await create_superuser(session, "Ada@Example.com", PASSWORD)
    assert (user.email, user.is_superuser) == (EMAIL, True)
    assert (await client.post("/accounts/login", data={"email": EMAIL, "password": PASSWORD})).status_code == 303


@pytest.mark.parametrize(
    ("email", "password", "message"),
    [
        ("nonsense", PASSWORD, "nonsense is not a valid e-mail address"),
        (EMAIL, "qwerty123", "too easy to guess"),
        (EMAIL, "half a character: \ud800", "not accepted. Must be valid Unicode"),
        ("ADA@example.com", PASSWORD, "already has an account"),
    ],
    ids=repr,
)
async def test_superuser_is_validated(database: Database, user: User, email: str, password: str, message: str) -> None:
    async with database.writer() as session:
        with pytest.raises(OperatorError, match=message) as refused:
            await create_superuser(session, email, password)
    assert "\n" not in str(refused.value)
    assert password not in str(refused.value)


async def test_password_of_an_unknown_user_is_refused(database: Database) -> None:
    async with database.writer() as session:
        with pytest.raises(OperatorError, match=r"There is no user with the e-mail eve@example\.com"):
            await set_password(session, "eve@example.com", PASSWORD)


async def read_emails(database: Database) -> list[str]:
    return [user.email for user in await read_all(database, User)]


async def test_demo_users_have_example_addresses_and_no_password(client: AsyncClient, database: Database) -> None:
    async with database.writer() as session:
        assert await load(session) == len(EMAILS)
    assert sorted(await read_emails(database)) == sorted(EMAILS)
    assert all(email.endswith("@made-up.example") for email in EMAILS)
    assert await read_all(database, User, is_superuser=True) == []
    for password in ("", "password", "made-up"):
        form = {"username": EMAILS[0], "password": password}
        assert (await client.post("/api/v1/auth/login", data=form)).status_code in (401, 422), password


async def test_clearing_keeps_real_users(database: Database) -> None:
    await make_user(database, EMAILS[0])
    await make_user(database, EMAILS[1], created_at=FIRST_CREATED_AT)  # of an older release
    await make_user(database, "imported@example.com", created_at=FIRST_CREATED_AT)
    async with database.writer() as session:
        assert await load(session) == len(EMAILS) - 2
        assert await clear(session) == len(EMAILS) - 1
    assert await read_emails(database) == [EMAILS[0], "imported@example.com"]


async def test_owner_of_demo_rows_is_active(database: Database) -> None:
    for is_active in (False, True):
        owner = await make_user(database, is_superuser=True, is_active=is_active)
    async with database.reader() as session:
        assert await demo_owner(session, "rows") == owner
