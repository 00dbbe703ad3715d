"""Registration of hooks, and the changes that they receive."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db import Change, after_create, after_update, before_create, before_update, changes
from opportune.db.database import Database
from opportune.db.hooks.registry import add_after_create, find_hook_error, has_hooks, may_run_hooks, rows_added_with
from opportune.errors import OperatorError
from tests.opportune.db.hooks.plays import Play, Stage, Table, Tag, Theatre, Ticket, add_play


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


def test_change_hooks_ignore_new_rows() -> None:
    @after_update(Theatre)
    async def ignore(session: AsyncSession, theatre: Theatre) -> None:
        pass

    assert rows_added_with(Theatre) == []


def test_hooks_of_added_rows_need_a_session() -> None:
    @add_after_create(Theatre, Tag)
    def tag_values(theatre: Theatre) -> Mapping[str, Any]:
        return {"name": theatre.name}

    assert [row.model for row in rows_added_with(Theatre) or ()] == [Tag]

    @before_create(Tag)
    async def ignore(session: AsyncSession, tag: Tag) -> None:
        pass

    assert rows_added_with(Theatre) is None


@pytest.mark.usefixtures("calls")
def test_related_models_may_run_hooks() -> None:
    assert [may_run_hooks(model) for model in (Play, Theatre, Tag)] == [True, True, False]


async def hook(session: AsyncSession, play: Play) -> None: ...


def test_feature_with_invalid_hook_is_refused() -> None:
    after_create(Play)(hook)
    assert find_hook_error("plays", [hook]) == ""
    for value, name in ((after_create, "after_create"), ("hook", "'hook'")):
        message = find_hook_error("plays", [value])
        assert message.startswith(f"Feature('plays', hooks=…) lists {name}, which is not a hook.")


def name_play(play: Play) -> str:
    return play.title


def test_invalid_hook_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"@after_create takes a model, .* not 'Play'"):
        after_create("Play")  # type: ignore[arg-type]
    with pytest.raises(
        OperatorError, match=r"test_changes\.name_play: .*@after_create must be `async def` with \(session"
    ):
        after_create(Play)(name_play)  # type: ignore[arg-type]
