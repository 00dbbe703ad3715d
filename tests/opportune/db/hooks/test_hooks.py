"""Hooks run for created, changed and deleted rows, in their transaction, with the changes."""

from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db import Change, after_commit, after_create, after_update, before_commit, before_create, before_update
from opportune.db.database import Database
from opportune.db.hooks.registry import changes, find_hook_error, has_hooks
from opportune.errors import FieldErrors, OperatorError
from opportune.web import Form
from tests.opportune.db.hooks.plays import Play, Table, Tag, Theatre, Ticket, add_play
from tests.opportune.stored_rows import change_row, count, delete_row, get_row, read_all


class RefusedError(Exception):
    pass


@pytest.mark.database("sqlite", "postgresql")
async def test_hooks_run_for_all_operations(database: Database, calls: list[str]) -> None:
    play = await add_play(database, title="Hamlet")
    await change_row(database, Play, play.id, seats=3)
    await delete_row(database, play)
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
    assert (await get_row(database, Theatre, theatre.id)).number_of_plays == 1
    assert (await get_row(database, Play, play.id)).slug == play.slug


async def test_form_refused_by_a_hook_saves_nothing(database: Database) -> None:
    @after_create(Play)
    async def refuse(_session: AsyncSession, play: Play) -> None:
        raise FieldErrors({"title": "It is on."})

    form = Form(Play)
    form.data = Play(title="Hamlet")
    async with database.writer() as session:

        async def save(play: Play) -> None:
            session.add_all([Theatre(name="Globe"), play])

        assert not await form.save(save, session)
    assert form.errors == {"title": "It is on."}
    assert await count(database, Theatre) == 0


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
    assert await read_all(database, select(col(Play.title))) == ["Hamlet"]


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
    assert set(await read_all(database, select(col(Play.title)))) == {"Hamlet", "Lear"}


async def test_failed_callback_after_commit_stops_no_others(database: Database) -> None:
    record, fail = AsyncMock(), AsyncMock(side_effect=RefusedError)

    async def write() -> None:
        async with database.writer() as session:
            session.add(Play(title="Hamlet"))
            for callback in (record, fail, record):
                after_commit(session, callback)

    with pytest.raises(RefusedError):
        await write()
    assert record.await_count == 2


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
    await delete_row(database, theatre)
    deletions = [line for line in calls if "delete" in line]
    assert deletions == ["after_delete Hamlet", "before_delete Lear", "after_delete Lear"]


async def test_before_hook_cannot_flush(database: Database) -> None:
    @before_create(Play)
    async def flush_rows(session: AsyncSession, play: Play) -> None:
        assert await session.scalar(select(func.count()).select_from(Play)) == 0
        await session.flush()

    message = r"test_hooks\.flush_rows runs before its row is written, so it cannot flush"
    with pytest.raises(RuntimeError, match=message):
        await add_play(database, title="Lear")


async def test_hook_cannot_commit(database: Database) -> None:
    @after_create(Play)
    async def commit(session: AsyncSession, play: Play) -> None:
        await session.commit()

    with pytest.raises(RuntimeError, match="must not commit"):
        await add_play(database, title="Hamlet")


Changes = list[Mapping[str, Change]]


@pytest.fixture
def recorded_changes() -> Changes:
    """Changes of plays that `after_update` hooks received."""
    recorded_changes: Changes = []

    @after_update(Play)
    async def record(session: AsyncSession, play: Play) -> None:
        recorded_changes.append(dict(changes(play)))

    return recorded_changes


async def test_changes_before_and_after_the_write(database: Database, recorded_changes: Changes) -> None:
    @before_update(Play)
    async def record_before(session: AsyncSession, play: Play) -> None:
        recorded_changes.append(dict(changes(play)))
        play.slug = play.title.lower()

    play = await add_play(database, title="Hamlet", slug="hamlet")
    async with database.writer() as session:
        play = await session.get_one(Play, play.id)
        play.title, play.seats = "Lear", 0
    title, slug = Change("Hamlet", "Lear"), Change("hamlet", "lear")
    assert recorded_changes == [{"title": title}, {"title": title, "slug": slug}]
    assert changes(play) == {}


async def test_foreign_key_is_set_before_the_write(database: Database) -> None:
    keys: list[tuple[int | None, Any]] = []

    async def record(_session: AsyncSession, ticket: Ticket) -> None:
        keys.append((ticket.play_id, changes(ticket)["play_id"].after))

    before_create(Ticket)(record)
    before_update(Ticket)(record)
    hamlet_id, faust_id = [(await add_play(database, title=title)).id for title in ("Hamlet", "Faust")]
    async with database.writer() as session:
        ticket = Ticket(play=await session.get_one(Play, hamlet_id))
        session.add(ticket)
    async with database.writer() as session:
        ticket = await session.get_one(Ticket, ticket.id)
        for play in (await session.get_one(Play, faust_id), None):
            ticket.play = play
            await session.flush()
    assert keys == [(hamlet_id, hamlet_id), (faust_id, faust_id), (None, None)]


async def test_changes_of_transaction_combine(database: Database, recorded_changes: Changes) -> None:
    play = await add_play(database, title="Hamlet", seats=1)
    async with database.writer() as session:
        play = await session.get_one(Play, play.id)
        for title, seats in (("Lear", 2), ("Macbeth", 1)):
            play.title, play.seats = title, seats
            await session.scalar(select(func.count()).select_from(Play))
    assert recorded_changes == [{"title": Change("Hamlet", "Macbeth")}]


async def test_many_to_many_change_runs_hooks(database: Database, recorded_changes: Changes) -> None:
    play = await add_play(database, title="Hamlet", tags=[Tag(name="sad")])
    async with database.writer() as session:
        play = await session.get_one(Play, play.id)
        await session.refresh(play, ["tags"])
        play.tags.append(Tag(name="long"))
    [written] = recorded_changes
    assert [[tag.name for tag in tags] for tags in written["tags"]] == [["sad"], ["sad", "long"]]


async def test_hook_of_a_base_class_runs_for_subclasses(database: Database) -> None:
    recorded_models: list[str] = []

    @after_create(Table)
    async def record_model(session: AsyncSession, row: Table) -> None:
        recorded_models.append(type(row).__name__)

    assert has_hooks(Play)
    async with database.writer() as session:
        session.add(Theatre(name="Globe"))
        session.add(Tag(name="sad"))
    assert sorted(recorded_models) == ["Tag", "Theatre"]


async def hook(session: AsyncSession, play: Play) -> None: ...


def test_invalid_hook_and_its_feature_are_refused() -> None:
    after_create(Play)(hook)
    assert find_hook_error("plays", [hook]) is None
    for value, name in ((after_create, "after_create"), ("hook", "'hook'")):
        message = find_hook_error("plays", [value]) or ""
        assert message.startswith(f"Feature('plays', hooks=…) lists {name}, which is not a hook.")
    with pytest.raises(OperatorError, match=r"@after_create takes a model, .* not 'Play'"):
        after_create("Play")  # type: ignore[arg-type]
    message = r"test_hooks\.name_play: .*@after_create must be `async def` with \(session"
    with pytest.raises(OperatorError, match=message):
        after_create(Play)(name_play)  # type: ignore[arg-type]


def name_play(play: Play) -> str:
    return play.title
