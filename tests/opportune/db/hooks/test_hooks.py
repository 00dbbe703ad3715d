"""Hooks run whichever way a row comes, changes and goes, and in the transaction of the change."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from sqlalchemy import MetaData, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, Relationship, SQLModel, col

from opportune.db import (
    Change,
    after_change,
    after_create,
    after_delete,
    before_change,
    before_commit,
    before_create,
    before_delete,
    changes,
)
from opportune.db.database import Database
from opportune.db.hooks.registry import (
    add_after_create,
    has_hooks,
    hook_fault,
    may_run_hooks,
    rows_added_with,
    temporary_hooks,
)
from opportune.db.models.model import NAMING_CONVENTION
from opportune.errors import OperatorError


class Table(SQLModel):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)

    id: int = Field(default=None, primary_key=True)


class PlayTag(Table, table=True):
    __tablename__ = "test_hook_play_tag"

    play_id: int = Field(foreign_key="test_hook_play.id")
    tag_id: int = Field(foreign_key="test_hook_tag.id")


class Tag(Table, table=True):
    __tablename__ = "test_hook_tag"
    keeps_history: ClassVar[bool] = False

    name: str


class Theatre(Table, table=True):
    __tablename__ = "test_hook_theatre"

    name: str
    number_of_plays: int = 0
    plays: list["Play"] = Relationship(sa_relationship_kwargs={"cascade": "all, delete-orphan"})


class Stage(Table, table=True):
    __tablename__ = "test_hook_stage"

    name: str
    plays: list["Play"] = Relationship()


class Play(Table, table=True):
    __tablename__ = "test_hook_play"

    title: str
    slug: str = ""
    seats: int = 0
    theatre_id: int | None = Field(default=None, foreign_key="test_hook_theatre.id")
    stage_id: int | None = Field(default=None, foreign_key="test_hook_stage.id")
    tags: list[Tag] = Relationship(link_model=PlayTag)


class Ticket(Table, table=True):
    __tablename__ = "test_hook_ticket"

    play_id: int | None = Field(default=None, foreign_key="test_hook_play.id")
    play: Play | None = Relationship()


class RefusedError(Exception):
    pass


@pytest.fixture(autouse=True)
def _hooks_of_each_test_alone() -> Iterator[None]:
    with temporary_hooks():
        yield


@pytest.fixture
async def database(database: Database) -> Database:
    async with database.engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    return database


@pytest.fixture
def told() -> list[str]:
    """What hooks of plays are told, in order."""
    told: list[str] = []

    def tell(moment: Any, name: str) -> None:
        async def hook(session: AsyncSession, play: Play) -> None:
            told.append(f"{name} {play.title}")

        moment(Play)(hook)

    for moment in (before_create, after_create, before_change, after_change, before_delete, after_delete):
        tell(moment, moment.__name__)
    return told


async def add_play(database: Database, **values: Any) -> Play:
    async with database.writer() as session:
        play = Play(**values)
        session.add(play)
    return play


async def test_hooks_are_told_of_a_row_that_comes_changes_and_goes(database: Database, told: list[str]) -> None:
    play = await add_play(database, title="Hamlet")
    async with database.writer() as session:
        (await session.get_one(Play, play.id)).seats = 3
    async with database.writer() as session:
        await session.delete(await session.get_one(Play, play.id))
    moments = ["before_create", "after_create", "before_change", "after_change", "before_delete", "after_delete"]
    assert told == [f"{moment} Hamlet" for moment in moments]


@pytest.mark.database("sqlite")
async def test_a_row_that_is_added_and_changed_before_the_flush_is_one_creation(
    database: Database, told: list[str]
) -> None:
    async with database.writer() as session:
        play = Play(title="Hamlet")
        session.add(play)
        await session.scalar(select(func.count()).select_from(Play))  # writes it by itself
        play.seats = 3
        await session.scalar(select(func.count()).select_from(Play))
    assert [line for line in told if line.startswith("after")] == ["after_create Hamlet"]


@pytest.mark.database("sqlite")
async def test_a_row_that_comes_and_goes_before_the_flush_was_never_there(database: Database, told: list[str]) -> None:
    async with database.writer() as session:
        play = Play(title="Hamlet")
        session.add(play)
        await session.scalar(select(func.count()).select_from(Play))
        await session.delete(play)
    assert [line for line in told if line.startswith("after")] == []


@pytest.mark.database("sqlite")
async def test_a_row_that_is_loaded_and_given_what_it_has_is_not_changed(database: Database, told: list[str]) -> None:
    play = await add_play(database, title="Hamlet")
    told.clear()
    async with database.writer() as session:
        (await session.get_one(Play, play.id)).title = "Hamlet"
    assert told == []


@pytest.mark.database("sqlite")
async def test_what_changed_is_told_before_and_after(database: Database) -> None:
    seen: list[object] = []

    @before_change(Play)
    async def before(session: AsyncSession, play: Play) -> None:
        seen.append(dict(changes(play)))
        play.slug = play.title.lower()

    @after_change(Play)
    async def after(session: AsyncSession, play: Play) -> None:
        seen.append(dict(changes(play)))

    play = await add_play(database, title="Hamlet", slug="hamlet")
    async with database.writer() as session:
        play = await session.get_one(Play, play.id)
        play.title, play.seats = "Lear", 0
    title, slug = Change("Hamlet", "Lear"), Change("hamlet", "lear")
    assert seen == [{"title": title}, {"title": title, "slug": slug}]
    assert changes(play) == {}


@pytest.mark.database("sqlite")
async def test_a_row_that_is_given_another_has_its_key_before_it_is_written(database: Database) -> None:
    keys: list[tuple[int | None, Any]] = []

    async def note(_session: AsyncSession, ticket: Ticket) -> None:
        keys.append((ticket.play_id, changes(ticket)["play_id"].after))

    before_create(Ticket)(note)
    before_change(Ticket)(note)
    first, second = [(await add_play(database, title=title)).id for title in ("Hamlet", "Faust")]
    async with database.writer() as session:
        ticket = Ticket(play=await session.get_one(Play, first))
        session.add(ticket)
    async with database.writer() as session:
        ticket = await session.get_one(Ticket, ticket.id)
        for play in (await session.get_one(Play, second), None):
            ticket.play = play
            await session.flush()
    assert keys == [(first, first), (second, second), (None, None)]


@pytest.mark.database("sqlite")
async def test_changes_of_one_transaction_are_told_as_one(database: Database) -> None:
    seen: list[object] = []

    @after_change(Play)
    async def after(session: AsyncSession, play: Play) -> None:
        seen.append(dict(changes(play)))

    play = await add_play(database, title="Hamlet", seats=1)
    async with database.writer() as session:
        play = await session.get_one(Play, play.id)
        for title, seats in (("Lear", 2), ("Macbeth", 1)):
            play.title, play.seats = title, seats
            await session.scalar(select(func.count()).select_from(Play))
    assert seen == [{"title": Change("Hamlet", "Macbeth")}]


@pytest.mark.database("sqlite")
async def test_a_many_to_many_relationship_that_changes_is_a_change_of_its_row(database: Database) -> None:
    seen: list[object] = []

    @after_change(Play)
    async def after(session: AsyncSession, play: Play) -> None:
        seen.append([[tag.name for tag in tags] for tags in changes(play)["tags"]])

    play = await add_play(database, title="Hamlet", tags=[Tag(name="sad")])
    async with database.writer() as session:
        play = await session.get_one(Play, play.id)
        await session.refresh(play, ["tags"])
        play.tags.append(Tag(name="long"))
    assert seen == [[["sad"], ["sad", "long"]]]


@pytest.mark.database("sqlite")
async def test_after_hooks_have_the_id_and_write_in_the_same_transaction(database: Database) -> None:
    @after_create(Play)
    async def count(session: AsyncSession, play: Play) -> None:
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


@pytest.mark.database("sqlite")
async def test_what_hooks_write_has_hooks_too_and_none_is_told_of_its_own_change(
    database: Database, told: list[str]
) -> None:
    @after_create(Theatre)
    async def open_with_hamlet(session: AsyncSession, theatre: Theatre) -> None:
        session.add(Play(title="Hamlet", theatre_id=theatre.id))

    @after_create(Play)
    async def number(session: AsyncSession, play: Play) -> None:
        play.seats += 1

    async with database.writer() as session:
        session.add(Theatre(name="Globe"))
    assert told == ["before_create Hamlet", "after_create Hamlet", "before_change Hamlet"]


@pytest.mark.database("sqlite")
async def test_hooks_that_add_rows_without_end_are_told_so(database: Database) -> None:
    @after_create(Play)
    async def again(session: AsyncSession, play: Play) -> None:
        session.add(Play(title="Another"))

    with pytest.raises(RuntimeError, match="The hooks of Play trigger each other"):
        await add_play(database, title="Hamlet")


@pytest.mark.database("sqlite")
async def test_a_before_hook_that_adds_rows_without_end_is_told_so(database: Database) -> None:
    @before_create(Play)
    async def again(session: AsyncSession, play: Play) -> None:
        session.add(Play(title="Another"))

    with pytest.raises(RuntimeError, match="The hooks of Play trigger each other"):
        await add_play(database, title="Hamlet")


@pytest.mark.database("sqlite")
async def test_a_hook_that_raises_undoes_the_change(database: Database) -> None:
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


async def test_a_refused_row_leaves_a_session_that_can_be_used(database: Database) -> None:
    """A savepoint that is undone takes along what hooks have done for it, and have asked to be done."""
    done: list[str] = []

    @after_create(Play)
    async def act(session: AsyncSession, play: Play) -> None:
        async def perform() -> None:
            done.append(play.title)

        before_commit(session, perform)
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
    assert done == ["Hamlet", "Lear"]
    async with database.reader() as session:
        assert set(await session.scalars(select(col(Play.title)))) == {"Hamlet", "Lear"}


@pytest.mark.database("sqlite")
async def test_hooks_are_not_told_of_what_was_rolled_back(database: Database, told: list[str]) -> None:
    async with database.writer() as session:
        savepoint = await session.begin_nested()
        session.add(Play(title="Hamlet"))
        await session.scalar(select(Play))
        await savepoint.rollback()
        session.add(Play(title="Lear"))
        await session.scalar(select(Play))
        await session.rollback()
        session.add(Play(title="Macbeth"))
    assert [line for line in told if line.startswith("after")] == ["after_create Macbeth"]


@pytest.mark.database("sqlite")
async def test_rows_that_a_relationship_deletes_are_told_of(database: Database, told: list[str]) -> None:
    async with database.writer() as session:
        theatre = Theatre(name="Globe", plays=[Play(title="Hamlet"), Play(title="Lear")])
        session.add(theatre)
    told.clear()
    async with database.writer() as session:
        theatre = await session.get_one(Theatre, theatre.id)
        await session.refresh(theatre, ["plays"])
        del theatre.plays[0]  # an orphan
    async with database.writer() as session:
        await session.delete(await session.get_one(Theatre, theatre.id))
    assert [line for line in told if "delete" in line] == [
        "after_delete Hamlet",
        "before_delete Lear",
        "after_delete Lear",
    ]


@pytest.mark.database("sqlite")
async def test_a_row_that_a_relationship_lets_go_is_changed(database: Database, told: list[str]) -> None:
    """Which the flush does by itself: hooks are told of it afterwards alone."""
    async with database.writer() as session:
        session.add(theatre := Stage(name="Globe", plays=[Play(title="Hamlet")]))
    told.clear()
    async with database.writer() as session:
        await session.delete(await session.get_one(Stage, theatre.id))
    assert told == ["after_change Hamlet"]


@pytest.mark.database("sqlite")
async def test_statements_are_not_told_of(database: Database, told: list[str]) -> None:
    async with database.writer() as session:
        await session.execute(insert(Play).values(title="Hamlet", slug="", seats=0))
        await session.execute(update(Play).values(seats=2))
    assert told == []


@pytest.mark.database("sqlite")
async def test_a_hook_of_a_base_is_told_of_all_models_below_it(database: Database) -> None:
    seen: list[str] = []

    @after_create(Table)
    async def see(session: AsyncSession, row: Table) -> None:
        seen.append(type(row).__name__)

    assert has_hooks(Play)
    async with database.writer() as session:
        session.add(Theatre(name="Globe"))
        session.add(Tag(name="sad"))
    assert sorted(seen) == ["Tag", "Theatre"]


def test_hooks_of_changes_leave_new_rows_alone() -> None:
    @after_change(Theatre)
    async def see(session: AsyncSession, theatre: Theatre) -> None:
        pass

    assert rows_added_with(Theatre) == []


def test_hooks_of_added_rows_need_a_session() -> None:
    @add_after_create(Theatre, Tag)
    def tag(theatre: Theatre) -> Mapping[str, Any]:
        return {"name": theatre.name}

    assert [row.model for row in rows_added_with(Theatre) or ()] == [Tag]

    @before_create(Tag)
    async def see(session: AsyncSession, tag: Tag) -> None:
        pass

    assert rows_added_with(Theatre) is None


@pytest.mark.database("sqlite")
async def test_a_before_hook_reads_without_writing_its_row_and_cannot_flush(database: Database) -> None:
    @before_create(Play)
    async def look(session: AsyncSession, play: Play) -> None:
        assert await session.scalar(select(func.count()).select_from(Play)) == 0
        await session.flush()

    with pytest.raises(RuntimeError, match=r"test_hooks\.look runs before its row is written, so it cannot flush"):
        await add_play(database, title="Lear")


@pytest.mark.database("sqlite")
async def test_a_hook_that_commits_is_told_not_to(database: Database) -> None:
    @after_create(Play)
    async def commit(session: AsyncSession, play: Play) -> None:
        await session.commit()

    with pytest.raises(RuntimeError, match="must not commit"):
        await add_play(database, title="Hamlet")


@pytest.mark.usefixtures("told")
def test_rows_from_which_no_relationship_leads_to_hooks_are_committed_as_ever() -> None:
    assert [may_run_hooks(model) for model in (Play, Theatre, Tag)] == [True, True, False]


async def hook(session: AsyncSession, play: Play) -> None: ...


def test_a_feature_lists_hooks_and_nothing_else() -> None:
    after_create(Play)(hook)
    assert hook_fault("plays", [hook]) == ""
    for other, name in ((after_create, "after_create"), ("hook", "'hook'")):
        fault = hook_fault("plays", [other])
        assert fault.startswith(f"Feature('plays', hooks=…) lists {name}, which is not a hook.")


def test_what_cannot_be_a_hook_is_refused_in_a_line() -> None:
    with pytest.raises(OperatorError, match=r"@after_create takes a model, .* not 'Play'"):
        after_create("Play")  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match=r"test_hooks\.told: .*@after_create must be `async def` with \(session"):
        after_create(Play)(told)
