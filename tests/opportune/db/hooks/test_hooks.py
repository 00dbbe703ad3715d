"""Hooks run for created, changed and deleted rows, in the transaction of the change."""

from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db import after_commit, after_create, before_commit, before_create
from opportune.db.database import Database
from tests.opportune.db.hooks.plays import Play, Theatre, add_play


class RefusedError(Exception):
    pass


@pytest.mark.database("sqlite", "postgresql")
async def test_hooks_run_for_all_operations(database: Database, calls: list[str]) -> None:
    play = await add_play(database, title="Hamlet")
    async with database.writer() as session:
        (await session.get_one(Play, play.id)).seats = 3
    async with database.writer() as session:
        await session.delete(await session.get_one(Play, play.id))
    events = ["before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete"]
    assert calls == [f"{decorator} Hamlet" for decorator in events]


async def test_row_that_changes_after_its_creation_is_one_creation(database: Database, calls: list[str]) -> None:
    async with database.writer() as session:
        hamlet, lear = Play(title="Hamlet"), Play(title="Lear")
        session.add_all([hamlet, lear])
        await session.scalar(select(func.count()).select_from(Play))  # autoflush
        hamlet.seats = 3
        await session.delete(lear)
        await session.scalar(select(func.count()).select_from(Play))
    assert [line for line in calls if line.startswith("after")] == ["after_create Hamlet"]


async def test_after_hooks_write_in_the_same_transaction(database: Database) -> None:
    @after_create(Play)
    async def count_play(session: AsyncSession, play: Play) -> None:
        theatre = await session.get_one(Theatre, play.theatre_id)
        theatre.number_of_plays += 1
        play.slug = f"play-{play.id}"

    async with database.writer() as session:
        theatre = Theatre(name="Globe")
        session.add(theatre)
        await session.flush()
        play = Play(title="Hamlet", theatre_id=theatre.id)
        session.add(play)
        await session.flush()
        assert play.slug == f"play-{play.id}"
    async with database.reader() as session:
        assert (await session.get_one(Theatre, theatre.id)).number_of_plays == 1
        assert (await session.get_one(Play, play.id)).slug == play.slug


async def test_rows_written_by_hooks_run_hooks(database: Database, calls: list[str]) -> None:
    @after_create(Theatre)
    async def open_with_hamlet(session: AsyncSession, theatre: Theatre) -> None:
        session.add(Play(title="Hamlet", theatre_id=theatre.id))

    @after_create(Play)
    async def count_seat(session: AsyncSession, play: Play) -> None:
        play.seats += 1

    async with database.writer() as session:
        session.add(Theatre(name="Globe"))
    assert calls == ["before_create Hamlet", "after_create Hamlet", "before_update Hamlet"]


@pytest.mark.parametrize("register", [before_create, after_create])
async def test_endless_hooks_are_refused(database: Database, register: Any) -> None:
    async def add_another_play(session: AsyncSession, play: Play) -> None:
        session.add(Play(title="Another"))

    register(Play)(add_another_play)
    with pytest.raises(RuntimeError, match="The hooks of Play trigger each other"):
        await add_play(database, title="Hamlet")


async def test_raising_hook_rolls_back(database: Database) -> None:
    @before_create(Play)
    async def refuse(session: AsyncSession, play: Play) -> None:
        if not play.title:
            raise RefusedError

    @after_create(Play)
    async def refuse_many(session: AsyncSession, play: Play) -> None:
        if await session.scalar(select(func.count()).select_from(Play)) == 2:
            raise RefusedError

    await add_play(database, title="Hamlet")
    for title in ("", "Lear"):
        with pytest.raises(RefusedError):
            await add_play(database, title=title)
    async with database.reader() as session:
        assert list(await session.scalars(select(col(Play.title)))) == ["Hamlet"]


@pytest.mark.database("sqlite", "postgresql")
async def test_session_is_usable_after_a_refused_row(database: Database) -> None:
    committed_titles: list[str] = []

    @after_create(Play)
    async def register_callback(session: AsyncSession, play: Play) -> None:
        async def record_title() -> None:
            committed_titles.append(play.title)

        before_commit(session, record_title)
        if play.title == "Macbeth":
            raise RefusedError

    async with database.writer() as session:
        for title in ("Hamlet", "Macbeth", "Lear"):
            try:
                async with session.begin_nested():
                    session.add(Play(title=title))
                    await session.flush()
            except RefusedError:
                continue
    assert committed_titles == ["Hamlet", "Lear"]
    async with database.reader() as session:
        assert set(await session.scalars(select(col(Play.title)))) == {"Hamlet", "Lear"}


async def test_failed_callback_after_commit_stops_no_others(database: Database) -> None:
    calls: list[str] = []

    async def fail() -> None:
        raise RefusedError

    async def record() -> None:
        calls.append("recorded")

    async def write() -> None:
        async with database.writer() as session:
            session.add(Play(title="Hamlet"))
            for callback in (record, fail, record):
                after_commit(session, callback)

    with pytest.raises(RefusedError):
        await write()
    assert calls == ["recorded"] * 2
    async with database.reader() as session:
        assert (await session.scalars(select(col(Play.title)))).all() == ["Hamlet"]


async def test_rolled_back_rows_run_no_after_hooks(database: Database, calls: list[str]) -> None:
    async with database.writer() as session:
        savepoint = await session.begin_nested()
        session.add(Play(title="Hamlet"))
        await session.scalar(select(Play))
        await savepoint.rollback()
        session.add(Play(title="Lear"))
        await session.scalar(select(Play))
        await session.rollback()
        session.add(Play(title="Macbeth"))
    assert [line for line in calls if line.startswith("after")] == ["after_create Macbeth"]


async def test_orm_cascade_runs_hooks(database: Database, calls: list[str]) -> None:
    async with database.writer() as session:
        theatre = Theatre(name="Globe", plays=[Play(title="Hamlet"), Play(title="Lear")])
        session.add(theatre)
    calls.clear()
    async with database.writer() as session:
        theatre = await session.get_one(Theatre, theatre.id)
        await session.refresh(theatre, ["plays"])
        del theatre.plays[0]  # an orphan
    async with database.writer() as session:
        await session.delete(await session.get_one(Theatre, theatre.id))
    assert [line for line in calls if "delete" in line] == [
        "after_delete Hamlet",
        "before_delete Lear",
        "after_delete Lear",
    ]


async def test_statements_run_no_hooks(database: Database, calls: list[str]) -> None:
    async with database.writer() as session:
        await session.execute(insert(Play).values(title="Hamlet", slug="", seats=0))
        await session.execute(update(Play).values(seats=2))
    assert calls == []


async def test_before_hook_cannot_flush(database: Database) -> None:
    @before_create(Play)
    async def flush_rows(session: AsyncSession, play: Play) -> None:
        assert await session.scalar(select(func.count()).select_from(Play)) == 0
        await session.flush()

    with pytest.raises(
        RuntimeError, match=r"test_hooks\.flush_rows runs before its row is written, so it cannot flush"
    ):
        await add_play(database, title="Lear")


async def test_hook_cannot_commit(database: Database) -> None:
    @after_create(Play)
    async def commit(session: AsyncSession, play: Play) -> None:
        await session.commit()

    with pytest.raises(RuntimeError, match="must not commit"):
        await add_play(database, title="Hamlet")
