"""Deletion of many rows in short transactions."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import Column, ForeignKeyConstraint, Integer, MetaData, Table, create_engine, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import ApiToken, Attempt, Session, User
from opportune.db import Database, utc_now
from opportune.db.hooks.registry import before_delete, temporary_hooks
from opportune.db.listeners import listening
from opportune.db.queries import batches
from opportune.db.queries.batches import (
    delete_dependents_in_batches,
    delete_in_batches,
    find_dependents,
    update_in_batches,
)
from opportune.errors import FieldErrors
from opportune.testing.factories import make_user
from tests.opportune.stored_rows import add_rows, count, read_all

is_expired = col(Attempt.ends_at) <= utc_now()
"""Ended before the tests started."""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 2)
    monkeypatch.setattr(batches, "MAX_IDS_PER_QUERY", 4)
    monkeypatch.setattr(batches, "MAX_CASCADED_ROWS", 3)


@contextmanager
def record_commits(database: Database) -> Iterator[list[None]]:
    commits = list[None]()

    def record(_: object) -> None:
        commits.append(None)

    with listening(database.engine.sync_engine, commit=record):
        yield commits


async def add_attempts(database: Database, hours: int, number: int) -> None:
    ends_at = utc_now() + timedelta(hours=hours)
    await add_rows(database, *(Attempt(key=f"{hours} {index}", ends_at=ends_at) for index in range(number)))


async def add_sessions(database: Database, user: User, number: int) -> None:
    tokens = [f"{user.id} {index}" for index in range(number)]
    await add_rows(database, *(Session(user_id=user.id, token_hash=token, expires_at=utc_now()) for token in tokens))


@pytest.mark.database("sqlite", "postgresql")
async def test_rows_are_changed_and_deleted_in_batches(database: Database) -> None:
    await add_attempts(database, -1, 7)
    await add_attempts(database, 1, 3)
    later = utc_now() + timedelta(days=1)
    with record_commits(database) as commits:
        assert await update_in_batches(database, Attempt, is_expired, {"ends_at": later}) == 7
        assert await delete_in_batches(database, Attempt, col(Attempt.ends_at) == later) == 7
    assert len(commits) == 4 + 4
    assert await count(database, Attempt) == 3


@pytest.mark.database("sqlite", "postgresql")
async def test_other_writers_run_between_batches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(_seconds: float) -> None:
        async with asyncio.timeout(30):
            await add_attempts(database, next(hours), 1)

    hours = itertools.count(1)
    await add_attempts(database, -1, 5)
    monkeypatch.setattr(batches, "asyncio", SimpleNamespace(sleep=write))  # other modules sleep as usual
    await delete_in_batches(database, Attempt, is_expired)
    monkeypatch.undo()
    assert await count(database, Attempt) == 3


@pytest.mark.database("postgresql")  # SQLite has no row locks
async def test_locked_row_is_skipped(database: Database) -> None:
    await add_attempts(database, -1, 3)
    async with database.writer() as session:
        await session.execute(select(Attempt).where(is_expired).limit(1).with_for_update())
        assert await delete_in_batches(database, Attempt, is_expired) == 2
    assert await delete_in_batches(database, Attempt, is_expired) == 1


async def test_many_dependent_rows_are_deleted_first(database: Database) -> None:
    deleted_user, kept_user, user_with_few_sessions = [await make_user(database) for _ in range(3)]
    for user, number in ((deleted_user, 5), (kept_user, 5), (user_with_few_sessions, 3)):
        await add_sessions(database, user, number)
    with record_commits(database) as commits:
        await delete_dependents_in_batches(database, User, deleted_user.id)
        await delete_dependents_in_batches(database, User, user_with_few_sessions.id)
    assert len(commits) == 3
    user_ids = await read_all(database, select(col(Session.user_id)))
    assert sorted(user_ids) == [kept_user.id] * 5 + [user_with_few_sessions.id] * 3


def test_dependents_match_all_columns_of_their_key() -> None:
    metadata = MetaData()
    team = Table(
        "team", metadata, Column("site_id", Integer, primary_key=True), Column("id", Integer, primary_key=True)
    )
    key = ForeignKeyConstraint(["site_id", "team_id"], [team.c.site_id, team.c.id], ondelete="CASCADE")
    member = Table("member", metadata, *(Column(name, Integer) for name in ("id", "site_id", "team_id")), key)
    ((dependent, condition),) = find_dependents(team, team.c.id == 1)
    with create_engine("sqlite://").connect() as connection:
        metadata.create_all(connection)
        connection.execute(insert(team), [{"site_id": 1, "id": number} for number in (1, 2)])
        connection.execute(insert(member), [{"id": number, "site_id": 1, "team_id": number} for number in (1, 2)])
        assert connection.scalars(select(dependent.c.id).where(condition)).all() == [1]


async def test_refused_deletion_keeps_dependent_rows(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_session: AsyncSession, row: User) -> None:
        if row.id == user.id:
            raise FieldErrors({"": "The user has open invoices."})

    user, other = [await make_user(database) for _ in range(2)]
    for owner in (user, other):
        await add_sessions(database, owner, 5)
    with temporary_hooks():
        before_delete(User)(refuse)
        with pytest.raises(FieldErrors, match="open invoices"):
            await delete_dependents_in_batches(database, User, other.id, user.id)
    (key,) = batches._table_of(ApiToken).c.user_id.foreign_keys
    monkeypatch.setattr(key.constraint, "ondelete", None)
    await delete_dependents_in_batches(database, User, user.id)
    assert await count(database, Session) == 10
