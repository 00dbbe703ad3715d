"""Sessions and contexts, also of requests: commit, rollback and responses to errors."""

import asyncio
from contextlib import suppress

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.orm import Session as SyncSession

from opportune.accounts.models import User
from opportune.application import create_app
from opportune.db import Context, Database, ReadonlyContext, after_commit
from opportune.db.listeners import listening
from opportune.db.sessions import dependencies
from opportune.db.sessions.missing_awaits import collect_missing_awaits
from opportune.testing.factories import make_user
from opportune.testing.plugin import settings_for
from tests.opportune.guides import read_guide, run_code

COUNT = select(func.count()).select_from(User)


def new_user(email: str = "a@example.com") -> User:
    return User(email=email, hashed_password="none")


@pytest.fixture
async def routes_client(app: FastAPI, client: AsyncClient) -> AsyncClient:
    """Client of a site with routes that read and write, with sessions and with contexts."""

    @app.post("/api/write")
    async def write(session: dependencies.WriteSession) -> None:
        session.add(new_user())

    @app.post("/api/fail")
    async def fail(session: dependencies.WriteSession) -> None:
        session.add(new_user())
        await session.flush()
        raise RuntimeError("after the write")

    @app.post("/api/fail-in-context")
    async def fail_in_context(context: dependencies.RWCtx) -> None:
        context.writer.add(new_user())
        await context.writer.flush()
        raise RuntimeError("after the write")

    @app.get("/api/count")
    async def count(session: dependencies.ReadSession) -> int:
        return await session.scalar(COUNT) or 0

    @app.get("/api/count-readonly")
    async def count_in_context(context: dependencies.ReadonlyCtx) -> int:
        return await context.reader.scalar(COUNT) or 0

    @app.post("/api/before-and-after")
    async def count_in_both_sessions(context: dependencies.RWCtx) -> list[int | None]:
        context.writer.add(new_user())
        await context.writer.flush()
        return [await session.scalar(COUNT) for session in (context.reader, context.writer)]

    return client


@pytest.mark.parametrize("path", ["/api/fail", "/api/fail-in-context"])
async def test_failed_request_is_rolled_back(routes_client: AsyncClient, path: str) -> None:
    assert (await routes_client.post(path)).status_code == 500
    assert (await routes_client.get("/api/count")).json() == 0


async def test_failed_commit_is_an_error_response(routes_client: AsyncClient) -> None:
    def refuse(_: SyncSession) -> None:
        raise RuntimeError("the disk went away")

    with listening(SyncSession, before_commit=refuse):
        response = await routes_client.post("/api/write")
    assert response.status_code == 500
    assert "disk" not in response.text
    assert (await routes_client.get("/api/count")).json() == 0


async def test_missing_await_is_an_error_of_its_transaction(database: Database, user: User) -> None:
    message = r"test_session.py:\d+: coroutine 'AsyncSession.delete' was never awaited. Write await before the call."
    with collect_missing_awaits(), pytest.raises(RuntimeError, match=message):
        await _delete_without_await(database, user)


async def _delete_without_await(database: Database, user: User) -> None:
    async with database.writer() as session:
        session.delete(user)  # type: ignore[unused-coroutine]
        async with database.writer(is_change=False) as inner:
            await inner.scalar(COUNT)


@pytest.mark.database("sqlite", "postgresql")
async def test_duplicate_row_is_a_conflict(routes_client: AsyncClient) -> None:
    await routes_client.post("/api/write")
    response = await routes_client.post("/api/write")
    assert response.status_code == 409
    assert "accounts_user" not in response.text


async def test_context_dependency_reads_and_commits(routes_client: AsyncClient) -> None:
    assert (await routes_client.post("/api/before-and-after")).json() == [0, 1]
    assert (await routes_client.get("/api/count-readonly")).json() == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_unmigrated_database_is_503_and_logged(empty_database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(settings_for(empty_database_url))
    browser = AsyncClient(transport=ASGITransport(app), base_url="http://testserver")
    async with app.router.lifespan_context(app), browser as client:
        form = {"email": "a@example.com", "password": "a long password"}
        assert (await client.post("/accounts/login", data=form)).status_code == 503
    assert "python3 oppman.py migrate" in caplog.text


async def test_guide_example_of_a_context(app: FastAPI, client: AsyncClient) -> None:
    guide = read_guide("databases.md")
    section = guide.partition("\n## Readers and writers\n")[2]
    names = run_code(section.partition("```python\n")[2].partition("```")[0])
    app.include_router(names["router"])
    assert (await client.post("/api/invite?email=a@example.com")).json() == 0
    await names["invite_elsewhere"](app.state.database, "b@example.com")
    assert (await client.post("/api/invite?email=c@example.com")).json() == 2


async def test_cancelled_commit_runs_its_callbacks(database: Database, user: User) -> None:
    """The driver may commit although the task no longer waits for it."""
    called = []

    async def call_back() -> None:
        await asyncio.sleep(0)
        called.append(True)

    async def rename() -> None:
        async with database.writer() as session:
            (await session.get_one(User, user.id)).email = "b@example.com"
            after_commit(session, call_back)
            event.listen(session.sync_session, "before_commit", lambda _session: task.cancel())

    task = asyncio.create_task(rename())
    await asyncio.wait({task})
    assert task.cancelled()
    assert called
    async with database.reader() as session:
        assert (await session.get_one(User, user.id)).email == "b@example.com"


@pytest.mark.database("postgresql")
async def test_commit_after_a_failed_statement_is_refused(database: Database, user: User) -> None:
    async def rename() -> None:
        async with database.writer() as session:
            (await session.get_one(User, user.id)).email = "b@example.com"
            await session.flush()
            with suppress(DBAPIError):
                await session.execute(text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError, match="a statement of this transaction has failed"):
        await rename()
    async with database.writer() as session:
        assert (await session.get_one(User, user.id)).email == user.email


EMAILS = select(User.email)  # type: ignore[call-overload]  # a column here


async def read_emails(database: Database) -> set[str]:
    async with database.reader() as session:
        return set(await session.scalars(EMAILS))


@pytest.mark.database("sqlite", "postgresql")
async def test_failed_commit_leaves_clean_connections(database: Database) -> None:
    await make_user(database, "a@example.com")
    with pytest.raises(IntegrityError):
        async with database.context() as context:
            context.writer.add(new_user())
    await make_user(database, "b@example.com")
    assert await read_emails(database) == {"a@example.com", "b@example.com"}


@pytest.mark.database("sqlite", "postgresql")
async def test_snapshot_is_taken_when_the_context_opens(database: Database) -> None:
    async with database.context() as context:
        await make_user(database, "other@example.com")
        assert (await context.reader.scalars(EMAILS)).all() == []


@pytest.mark.database("sqlite", "postgresql")
async def test_idle_writer_does_not_block_others(database: Database) -> None:
    async with asyncio.timeout(30), database.context() as context:
        await make_user(database, "other@example.com")
        context.writer.add(new_user("mine@example.com"))
    assert await read_emails(database) == {"other@example.com", "mine@example.com"}


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("context_class", [Context, ReadonlyContext])
async def test_context_reader_cannot_write(database: Database, context_class: type[ReadonlyContext]) -> None:
    async with context_class(database) as context:
        with pytest.raises(DBAPIError):
            await context.reader.execute(text("UPDATE accounts_user SET email = 'x'"))


async def test_another_task_cannot_use_the_context(database: Database) -> None:
    async def write_in_task(context: Context) -> None:
        context.writer.add(new_user())

    async with database.context() as context:
        with pytest.raises(RuntimeError, match=r"another task.*async with database\.context\(\)"):
            await asyncio.create_task(write_in_task(context))
        with pytest.raises(RuntimeError, match="another task"):
            await asyncio.to_thread(lambda: context.reader)


async def test_second_task_cannot_open_the_context(database: Database) -> None:
    context = database.context()

    async def write() -> None:
        async with context:
            context.writer.add(new_user())

    result, error = await asyncio.gather(write(), write(), return_exceptions=True)
    assert result is None
    assert isinstance(error, RuntimeError)
    assert len(await read_emails(database)) == 1
    assert database.reading_engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue pool


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
async def test_reader_refuses_to_lose_changes(database: Database, operation: str, user: User) -> None:
    async def change() -> None:
        async with database.reader() as session:
            stored = await session.get_one(User, user.id)
            if operation == "create":
                session.add(new_user())
            elif operation == "update":
                stored.email = "other@example.com"
            else:
                await session.delete(stored)

    with pytest.raises(RuntimeError, match=r"User was changed in a reader.* Use a WriteSession"):
        await change()


@pytest.mark.parametrize("mode", ["reader", "writer"])
async def test_session_stays_closed_after_its_block(database: Database, mode: str) -> None:
    async with getattr(database, mode)() as session:
        pass
    with pytest.raises(InvalidRequestError, match="permanently closed"):
        await session.scalar(COUNT)
