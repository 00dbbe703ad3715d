"""Single new rows, which a flush writes without SQLAlchemy's unit of work."""

from typing import Any

import pytest
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import User
from opportune.accounts.models import Group
from opportune.db.database import Database
from tests.opportune.stored_rows import add_rows


def new_user(name: str) -> User:
    return User(email=f"{name}@example.com", hashed_password="unused")


async def emails(session: AsyncSession) -> list[str]:
    return [*await session.scalars(select(col(User.email)).order_by(col(User.email)))]


async def test_row_is_new_again_after_its_savepoint(database: Database) -> None:
    async with database.writer() as session:
        session.add(first := new_user("ann"))
        await session.flush()
        savepoint = await session.begin_nested()
        async with session.begin_nested():
            session.add(second := new_user("bob"))
        await savepoint.rollback()
        assert first in session
        assert second not in session
        session.add(second)
        assert await emails(session) == ["ann@example.com", "bob@example.com"]


async def test_committed_row_stays_after_a_later_rollback(database: Database) -> None:
    async with database.writer() as session:
        session.add(user := new_user("ann"))
        await session.commit()
        await session.scalar(select(func.count()).select_from(User))
        await session.rollback()
        assert user in session


@pytest.mark.database("sqlite", "postgresql")
async def test_failed_row_ends_the_transaction(database: Database) -> None:
    await add_rows(database, new_user("ann"))

    async def add_others() -> None:
        async with database.writer() as session:
            session.add(new_user("bob"))
            await session.flush()
            session.add(new_user("ann"))
            with pytest.raises(IntegrityError):
                await session.flush()
            session.add(new_user("cleo"))

    with pytest.raises(PendingRollbackError):
        await add_others()
    async with database.reader() as session:
        assert await emails(session) == ["ann@example.com"]


@pytest.mark.database("sqlite", "postgresql")
async def test_failed_row_in_a_savepoint_keeps_the_others(database: Database) -> None:
    async with database.writer() as session:
        session.add(new_user("ann"))
        await session.flush()
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                session.add(new_user("ann"))
        session.add(new_user("bob"))
    async with database.reader() as session:
        assert await emails(session) == ["ann@example.com", "bob@example.com"]


@pytest.mark.parametrize("rows", [{"nmae": "A"}, [{"name": "A"}, {"nmae": "B"}]])
async def test_statement_refuses_unknown_names(database: Database, rows: Any) -> None:
    async with database.writer() as session:
        await session.execute(insert(Group).values(name=bindparam("label")), {"label": "C"})
        with pytest.raises(ValueError, match=r"^Group has no field 'nmae'\. Did you mean name\?"):
            await session.execute(insert(Group), rows)
