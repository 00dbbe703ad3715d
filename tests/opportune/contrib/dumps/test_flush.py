"""`flush`: deleted rows, confirmation and failures."""

import pytest
from sqlalchemy import func, select, text

from opportune.accounts import User
from opportune.accounts.models import Group, Session
from opportune.cli import call_command
from opportune.config.settings import Settings
from opportune.contrib.dumps.commands import flush
from opportune.db import Database
from opportune.db.models.model import utc_now
from opportune.errors import CommandError
from opportune.testing import Make


async def count_rows(database: Database, model: type[User | Group]) -> int:
    async with database.reader(fresh=True) as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.database("sqlite", "postgresql")
async def test_flush_deletes_rows_and_restarts_ids(settings: Settings, database: Database, make: Make) -> None:
    groups = await count_rows(database, Group)
    await make.many(User, 3)
    await make(Session, expires_at=utc_now())
    output = call_command("flush", yes=True, settings=settings)
    assert output.endswith("Create a new user: python3 oppman.py createsuperuser\n")
    assert (await count_rows(database, User), await count_rows(database, Group)) == (0, groups)
    assert call_command("migrate", settings=settings).endswith("  No migrations to apply.\n")
    assert (await make(User)).id == 1


async def test_flush_asks_for_confirmation(
    settings: Settings, database: Database, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(User)
    with pytest.raises(CommandError, match="Deleting all rows needs a confirmation") as refused:
        call_command("flush", settings=settings)
    assert refused.value.code == 2
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda _question: "y")
    with pytest.raises(CommandError, match=r"Stopped\.") as cancelled:
        call_command("flush", settings=settings)
    assert "including users and their sessions" in cancelled.value.output
    assert await count_rows(database, User) == 1
    monkeypatch.setattr("typer.prompt", lambda _question: "yes")
    assert call_command("flush", settings=settings)
    assert await count_rows(database, User) == 0


async def test_production_needs_force(settings: Settings, database: Database, make: Make) -> None:
    await make(User)
    production = settings.model_copy(update={"environment": "production"})
    with pytest.raises(CommandError, match="This is production, so nothing was deleted"):
        call_command("flush", yes=True, settings=production)
    assert await count_rows(database, User) == 1
    assert call_command("flush", yes=True, force=True, settings=production)
    assert await count_rows(database, User) == 0


async def test_failed_flush_is_rolled_back(
    settings: Settings, database: Database, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(User)

    def fail(_connection: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(flush, "run_due_statements", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        call_command("flush", yes=True, settings=settings)
    assert await count_rows(database, User) == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_foreign_key_of_another_table_prevents_flush(settings: Settings, database: Database, make: Make) -> None:
    await make(User)
    async with database.writer() as session:
        await session.execute(text("CREATE TABLE stray (user_id BIGINT REFERENCES accounts_user (id))"))
    with pytest.raises(CommandError, match="the table stray of no installed feature refers to accounts_user"):
        call_command("flush", yes=True, settings=settings)
    assert await count_rows(database, User) == 1


def test_flush_needs_a_migrated_database(settings: Settings) -> None:
    call_command("migrate", "jobs", "zero", settings=settings)
    with pytest.raises(CommandError, match="is not migrated"):
        call_command("flush", yes=True, settings=settings)
