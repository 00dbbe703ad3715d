"""Changes that hooks receive, and the writes that count as changes."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db import Change, after_update, before_create, before_update, changes
from opportune.db.database import Database
from tests.opportune.db.hooks.plays import Play, Stage, Tag, Ticket, add_play


async def test_equal_value_is_not_a_change(database: Database, calls: list[str]) -> None:
    play = await add_play(database, title="Hamlet")
    calls.clear()
    async with database.writer() as session:
        (await session.get_one(Play, play.id)).title = "Hamlet"
    assert calls == []


async def test_changes_before_and_after_the_write(database: Database) -> None:
    recorded_changes: list[object] = []

    @before_update(Play)
    async def record_before(session: AsyncSession, play: Play) -> None:
        recorded_changes.append(dict(changes(play)))
        play.slug = play.title.lower()

    @after_update(Play)
    async def record_after(session: AsyncSession, play: Play) -> None:
        recorded_changes.append(dict(changes(play)))

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


@pytest.fixture
def recorded_changes() -> list[Mapping[str, Change]]:
    """Changes of plays that `after_update` hooks received."""
    recorded_changes: list[Mapping[str, Change]] = []

    @after_update(Play)
    async def record(session: AsyncSession, play: Play) -> None:
        recorded_changes.append(dict(changes(play)))

    return recorded_changes


async def test_changes_of_a_transaction_are_combined(
    database: Database, recorded_changes: list[Mapping[str, Change]]
) -> None:
    play = await add_play(database, title="Hamlet", seats=1)
    async with database.writer() as session:
        play = await session.get_one(Play, play.id)
        for title, seats in (("Lear", 2), ("Macbeth", 1)):
            play.title, play.seats = title, seats
            await session.scalar(select(func.count()).select_from(Play))
    assert recorded_changes == [{"title": Change("Hamlet", "Macbeth")}]


async def test_many_to_many_change_runs_hooks(database: Database, recorded_changes: list[Mapping[str, Change]]) -> None:
    play = await add_play(database, title="Hamlet", tags=[Tag(name="sad")])
    async with database.writer() as session:
        play = await session.get_one(Play, play.id)
        await session.refresh(play, ["tags"])
        play.tags.append(Tag(name="long"))
    [written] = recorded_changes
    assert [[tag.name for tag in tags] for tags in written["tags"]] == [["sad"], ["sad", "long"]]


async def test_cleared_foreign_key_runs_change_hooks(database: Database, calls: list[str]) -> None:
    # The flush clears the foreign key itself, so only `after_update` runs.
    async with database.writer() as session:
        session.add(stage := Stage(name="Globe", plays=[Play(title="Hamlet")]))
    calls.clear()
    async with database.writer() as session:
        await session.delete(await session.get_one(Stage, stage.id))
    assert calls == ["after_update Hamlet"]
