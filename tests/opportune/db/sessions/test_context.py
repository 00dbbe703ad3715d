import asyncio

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.db.sessions.context import Context, ReadonlyContext

EMAILS = select(User.email)  # type: ignore[call-overload]  # a column here


class Greeting(Context):
    name = ""

    def __call__(self, name: str) -> "Greeting":
        self.name = name
        return self


def user(email: str = "a@example.com") -> User:
    return User(email=email, hashed_password="none")


async def write(database: Database, email: str) -> None:
    async with database.writer() as session:
        session.add(user(email))


async def emails(database: Database) -> set[str]:
    async with database.reader() as session:
        return set(await session.scalars(EMAILS))


async def test_a_context_commits_when_its_block_ends(database: Database) -> None:
    async with database.context() as context:
        context.writer.add(user())
        await context.writer.flush()
        assert await emails(database) == set(), "not before"
    assert await emails(database) == {"a@example.com"}


@pytest.mark.database("sqlite")
async def test_a_context_takes_everything_back_when_its_block_raises(database: Database) -> None:
    async def fail() -> None:
        async with database.context() as context:
            context.writer.add(user())
            await context.writer.flush()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    assert await emails(database) == set()


async def test_a_commit_that_fails_is_told_and_leaves_clean_connections(database: Database) -> None:
    await write(database, "a@example.com")

    with pytest.raises(IntegrityError):
        async with database.context() as context:
            context.writer.add(user("a@example.com"))

    await write(database, "b@example.com")
    assert await emails(database) == {"a@example.com", "b@example.com"}


async def test_its_reader_does_not_see_what_its_writer_writes(database: Database) -> None:
    async with database.context() as context:
        context.writer.add(user())
        await context.writer.flush()
        assert await context.reader.scalar(select(func.count()).select_from(User)) == 0
        assert await context.writer.scalar(select(func.count()).select_from(User)) == 1


async def test_its_snapshot_is_of_when_it_began_and_not_of_the_first_question(database: Database) -> None:
    async with database.context() as context:
        await write(database, "other@example.com")
        assert (await context.reader.scalars(EMAILS)).all() == []


async def test_it_keeps_no_writer_waiting_before_it_writes(database: Database) -> None:
    async with asyncio.timeout(3), database.context() as context:
        await write(database, "other@example.com")
        context.writer.add(user("mine@example.com"))
    assert await emails(database) == {"other@example.com", "mine@example.com"}


async def test_its_reader_cannot_write(database: Database) -> None:
    kinds: list[type[ReadonlyContext]] = [Context, ReadonlyContext]
    for kind in kinds:
        for statement in ("UPDATE accounts_user SET email = 'x'", "CREATE TABLE x (a int)"):
            async with kind(database) as context:
                with pytest.raises(DBAPIError):
                    await context.reader.execute(text(statement))


@pytest.mark.database("sqlite")
async def test_its_reader_cannot_write_rows_either(database: Database) -> None:
    async with database.context() as context:
        context.reader.add(user())
        with pytest.raises(DBAPIError):
            await context.reader.flush()


@pytest.mark.database("sqlite")
async def test_a_context_that_only_reads_has_no_writer(database: Database) -> None:
    async with ReadonlyContext(database) as context:
        assert await context.reader.scalar(select(func.count()).select_from(User)) == 0
        assert not hasattr(context, "writer")


@pytest.mark.database("sqlite")
async def test_another_task_gets_no_session_of_it(database: Database) -> None:
    async def write_elsewhere(context: Context) -> None:
        context.writer.add(user())

    async with database.context() as context:
        with pytest.raises(RuntimeError, match=r"another task.*async with database\.context\(\)"):
            await asyncio.create_task(write_elsewhere(context))
        with pytest.raises(RuntimeError, match="another task"):
            await asyncio.to_thread(lambda: context.reader)


@pytest.mark.database("sqlite")
async def test_after_its_end_there_is_no_session(database: Database) -> None:
    context = database.context()
    with pytest.raises(RuntimeError, match="not open"):
        _ = context.reader
    async with context:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        _ = context.writer


@pytest.mark.database("sqlite")
async def test_it_can_be_opened_again_and_not_twice_at_once(database: Database) -> None:
    context = database.context()
    async with context:
        with pytest.raises(RuntimeError, match="already open"):
            await context.__aenter__()
        context.writer.add(user("a@example.com"))
    async with context:
        context.writer.add(user("b@example.com"))
    assert await emails(database) == {"a@example.com", "b@example.com"}


@pytest.mark.database("sqlite")
async def test_of_two_tasks_that_open_it_at_once_the_second_is_refused(database: Database) -> None:
    context = database.context()

    async def write() -> None:
        async with context:
            context.writer.add(user())

    first, second = await asyncio.gather(write(), write(), return_exceptions=True)
    assert first is None
    assert isinstance(second, RuntimeError)
    assert len(await emails(database)) == 1
    assert database.reading_engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # it is one that counts


@pytest.mark.database("sqlite")
async def test_extras_are_given_by_a_call(database: Database) -> None:
    async with Greeting(database)("Ada") as greeting:
        assert greeting.name == "Ada"
        assert await greeting.reader.scalar(select(func.count()).select_from(User)) == 0
