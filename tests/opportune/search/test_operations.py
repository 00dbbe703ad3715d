"""Indexes of models with migrations, checks, copies, backups and poolers."""

import pytest
from sqlalchemy import insert, text

from opportune.accounts.models import User
from opportune.cli.development.startup import inspect_schema
from opportune.db.factory import open_database
from opportune.db.migrations.connection import connect
from opportune.jobs.models import Job
from opportune.search import Searchable
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.conftest import Oppman, oppman
from tests.opportune.contrib.backup.backups import programs
from tests.opportune.contrib.copydb.two_databases import ADD_USER, execute

__all__ = ["oppman", "programs"]  # fixtures


@pytest.fixture
def users(isolated_searchables: None) -> Searchable[User]:
    return Searchable(User, fields=["email"])


@pytest.fixture
def site(oppman: Oppman, users: Searchable[User], database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a database with a user and an index."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", "a key for tests that opens nothing anywhere")
    assert oppman("migrate").code == 0
    add_user(database_url, "ada@example.com")
    return database_url


def add_user(url: str, email: str) -> None:
    execute(url, ADD_USER, id=len(email), email=email)


async def find_emails(users: Searchable[User], url: str, query: str = "example ada") -> list[str]:
    async with open_database(settings_for(url)) as database:
        await database.setup()
        async with database.reader() as session:
            return [hit.row.email for hit in (await users.find(session, query)).items]


def test_missing_index_is_reported_and_created(
    oppman: Oppman, database_url: str, isolated_searchables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Searchable(Job, fields=["name"])
    monkeypatch.setenv("DATABASE_URL", database_url)
    settings = settings_for(database_url)
    (fault,) = inspect_schema(settings).faults
    assert fault.startswith("Search indexes or groups do not match the code.")
    assert oppman("migrate").code == 0
    assert oppman("makemigrations", "--check").code == 0
    assert oppman("migrate", "jobs", "zero").code == 0, "the index is dropped with its table"
    assert oppman("migrate").code == 0
    assert [*inspect_schema(settings).faults] == []
    with connect(settings) as connection, connection.begin():
        connection.execute(insert(Job).values(Job(name="a job").model_dump(exclude={"id"}) | {"state": "waiting"}))


async def test_copy_keeps_index(oppman: Oppman, site: str, users: Searchable[User], postgres_server: Postgres) -> None:
    target = postgres_server.create_database("search_copy")
    result = oppman("copydb", site, target)
    assert (result.code, result.err) == (0, "")
    assert await find_emails(users, target) == ["ada@example.com"]
    add_user(target, "bobby@example.com")
    assert await find_emails(users, target, "bobby") == ["bobby@example.com"]


async def test_table_copied_by_migration_is_searchable(oppman: Oppman, site: str, users: Searchable[User]) -> None:
    """SQLite drops triggers with their table."""
    with connect(settings_for(site)) as connection, connection.begin():
        connection.execute(text("DROP TRIGGER fts_accounts_user_insert"))
    add_user(site, "bobby@example.com")
    assert await find_emails(users, site, "bobby") == []
    assert oppman("migrate").code == 0
    assert await find_emails(users, site, "bobby") == ["bobby@example.com"]
