"""Demo users."""

from httpx2 import AsyncClient

from opportune.accounts.demo import EMAILS, clear, load
from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing.factories import make_user
from tests.opportune.accounts.stored_rows import read_all


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
    async with database.writer() as session:
        assert await load(session) == len(EMAILS) - 1
    async with database.writer() as session:
        assert await clear(session) == len(EMAILS) - 1
    assert await read_emails(database) == [EMAILS[0]]
