"""What visitors get while PostgreSQL, or the network before it, fails, and right afterwards."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from psycopg import OperationalError
from sqlalchemy import make_url, text

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db.drivers import postgresql, psycopg_timeouts
from opportune.db.drivers.psycopg_timeouts import TimedConnection
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.testing.factories import PASSWORD, make_user, sign_in
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import postgres
from opportune.web.endpoints.health import HealthCheck
from tests.opportune.db.drivers.faulty_proxy import FaultyProxy

pytestmark = pytest.mark.database("postgresql")

MAX_ANSWER_SECONDS = 12  # seconds; without a limit of ours an answer takes from 16 to for ever


@pytest.fixture(autouse=True)
def hurry() -> Iterator[None]:
    """Everything that is waited for in seconds, in tenths of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimedConnection, "silence", 0.2)
        patch.setattr(TimedConnection, "probe_timeout_seconds", 0.2)
        patch.setattr(postgresql, "PING_TIMEOUT_SECONDS", 0.2)
        patch.setattr(psycopg_timeouts, "CONNECT_TIMEOUT_SECONDS", 0.6)
        patch.setattr(psycopg_timeouts, "RETRY_DELAYS_SECONDS", (0.01, 0.02))
        patch.setattr(HealthCheck, "timeout_seconds", 0.3)
        patch.setattr(HealthCheck, "cache_seconds", 0)
        yield


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[FaultyProxy]:
    gateway = FaultyProxy(make_url(database_url).port or 0)
    async with gateway.open():
        yield gateway


@pytest.fixture
def settings(database_url: str, gateway: FaultyProxy) -> Settings:
    return behind(gateway, database_url)


def behind(gateway: FaultyProxy, url: str, **changes: object) -> Settings:
    address = make_url(url).set(port=gateway.port).render_as_string(hide_password=False)
    return settings_for(address).model_copy(update={"jobs": "off", "database_pool_timeout": 0.5, **changes})


@pytest.fixture
async def visitor(app: FastAPI, client: AsyncClient, caplog: pytest.LogCaptureFixture) -> AsyncIterator[AsyncClient]:
    """Somebody who is signed in, with connections in the pools of the reader and the writer."""
    await sign_in(client, app, await make_user(app.state.database, "ada@example.com"))
    assert (await client.get("/accounts/profile")).status_code == 200
    caplog.set_level(logging.INFO)
    yield client
    tracebacks = [record.getMessage() for record in caplog.records if record.exc_info]
    assert tracebacks == []
    database = app.state.database
    assert [engine.pool.checkedout() for engine in (database.engine, database.reading_engine)] == [0, 0]


async def visit(visitor: AsyncClient) -> list[Response]:
    """Signed-in pages, the API, a form that writes: all at once."""
    form = {"email": "ada@example.com", "password": PASSWORD}
    async with asyncio.timeout(MAX_ANSWER_SECONDS):
        return list(
            await asyncio.gather(
                visitor.get("/accounts/profile"),
                visitor.get("/api/v1/users/me"),
                visitor.get("/admin/"),
                # As from another browser: in this one it would end the session that the others are of.
                visitor.post("/accounts/login", data=form, headers={"cookie": "another=browser"}),
            )
        )


def statuses(answers: list[Response]) -> list[int]:
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize("trusted", [60, 0], ids=["used just now", "idle"])
async def test_requests_are_answered_503_while_the_server_is_silent_and_as_usual_afterwards(
    visitor: AsyncClient, gateway: FaultyProxy, monkeypatch: pytest.MonkeyPatch, trusted: int
) -> None:
    monkeypatch.setattr(postgresql, "TRUSTED_IDLE_SECONDS", trusted)
    usual = statuses(await visit(visitor))

    gateway.silence()
    answers, health = await asyncio.gather(visit(visitor), visitor.get("/health"))
    assert statuses([*answers, health]) == [503] * 5
    assert {answer.headers["retry-after"] for answer in answers} == {"2"}

    await gateway.restore()
    assert statuses(await visit(visitor)) == usual
    assert (await visitor.get("/health")).status_code == 200


async def test_connections_that_were_cut_are_replaced_before_they_are_used_and_it_is_503_while_nobody_listens(
    visitor: AsyncClient, gateway: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    usual = statuses(await visit(visitor))
    gateway.cut()
    assert statuses(await visit(visitor)) == usual
    gateway.refuse()
    assert statuses(await visit(visitor)) == [503] * 4
    assert f"No server responds at 127.0.0.1:{gateway.port}." in caplog.text
    assert (await visitor.get("/health/ready")).status_code == 503
    assert (await visitor.get("/health/live")).status_code == 200
    await gateway.restore()
    assert statuses(await visit(visitor)) == usual


@pytest.fixture
async def laboratory(app: FastAPI, client: AsyncClient) -> AsyncClient:
    """A site with routes that do what is said."""

    @app.get("/api/read")
    async def read(session: ReadSession, statement: str = "SELECT 1") -> str:
        return str(await session.scalar(text(statement)))

    @app.post("/api/write")
    async def write(session: WriteSession, statement: str) -> None:
        await session.execute(text(statement))

    return client


async def test_connecting_is_tried_again(laboratory: AsyncClient, gateway: FaultyProxy) -> None:
    gateway.cut(more=2)
    assert (await laboratory.get("/api/read")).status_code == 200
    assert gateway.visits == 3


async def test_a_refusal_is_not_asked_for_again(database_url: str, gateway: FaultyProxy) -> None:
    url = make_url(database_url)
    there = {"host": "127.0.0.1", "port": gateway.port, "user": url.username, "password": url.password}
    with pytest.raises(OperationalError, match="does not exist"):
        await TimedConnection.connect_with_retry(**there, dbname="unknown", limit=1)
    assert gateway.visits == 1


async def test_statement_ends_at_its_limit(database_url: str) -> None:
    url = make_url(database_url)
    there = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "dbname": url.database}
    connection = await TimedConnection.connect_with_retry(**there, limit=0.1)
    with pytest.raises(OperationalError, match="statement timeout"):
        await connection.execute("SELECT pg_sleep(60)")
    assert connection.closed


async def test_a_statement_is_not_tried_again(laboratory: AsyncClient, gateway: FaultyProxy) -> None:
    await laboratory.post("/api/write", params={"statement": "CREATE SEQUENCE calls"})
    call = {"statement": "SELECT nextval('calls'), pg_sleep(60)"}
    asking = asyncio.create_task(laboratory.post("/api/write", params=call))
    await until(laboratory, "SELECT last_value FROM calls WHERE is_called", "1")
    gateway.cut()
    assert (await asking).status_code == 503
    assert (await laboratory.get("/api/read", params={"statement": "SELECT last_value FROM calls"})).json() == "1"


async def until(laboratory: AsyncClient, statement: str, result: str) -> None:
    async with asyncio.timeout(MAX_ANSWER_SECONDS):
        while (await laboratory.get("/api/read", params={"statement": statement})).json() != result:
            await asyncio.sleep(0.01)


async def test_a_slow_statement_is_left_alone_while_the_server_shows_signs_of_life(laboratory: AsyncClient) -> None:
    slow = {"statement": "SELECT 'done' FROM pg_sleep(0.5)"}
    assert (await laboratory.get("/api/read", params=slow)).json() == "done"


RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%%pg_sleep(60)'"


async def test_a_statement_that_takes_too_long_is_ended_here_and_at_the_server(
    database_url: str, gateway: FaultyProxy, laboratory: AsyncClient, app: FastAPI
) -> None:
    other = create_app(behind(gateway, database_url, database_statement_timeout=0.1))
    other.router.routes.extend(app.router.routes[-2:])
    async with other.router.lifespan_context(other), client_of(other) as impatient:
        async with asyncio.timeout(MAX_ANSWER_SECONDS):
            answer = await impatient.get("/api/read", params={"statement": "SELECT pg_sleep(60)"})
    assert answer.status_code == 503
    await until(laboratory, RUNNING, "0")


async def test_a_lock_timeout_of_the_role_ends_the_wait_for_a_table_that_another_session_has_locked(
    database_url: str, gateway: FaultyProxy, laboratory: AsyncClient, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    setting = f"ALTER ROLE CURRENT_USER IN DATABASE {make_url(database_url).database} SET lock_timeout = '100ms'"
    await laboratory.post("/api/write", params={"statement": setting})
    other = create_app(behind(gateway, database_url))
    other.router.routes.extend(app.router.routes[-2:])
    async with other.router.lifespan_context(other), client_of(other) as impatient:
        async with app.state.database.writer() as session:
            await session.execute(text("LOCK TABLE accounts_user"))
            answer = await impatient.get("/api/read", params={"statement": "SELECT count(*) FROM accounts_user"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "held a lock for too long" in caplog.text


async def test_a_cancelled_request_ends_its_statement_and_returns_its_connection(
    laboratory: AsyncClient, app: FastAPI
) -> None:
    asking = asyncio.create_task(laboratory.get("/api/read", params={"statement": "SELECT pg_sleep(60)"}))
    await until(laboratory, RUNNING, "1")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert app.state.database.reading_engine.pool.checkedout() == 0
    await until(laboratory, RUNNING, "0")


async def test_a_full_pool_is_503_and_neither_hides_nor_blocks_the_state_of_health(
    laboratory: AsyncClient, app: FastAPI, settings: Settings, gateway: FaultyProxy
) -> None:
    places = settings.database_pool_size + settings.database_max_overflow
    held = [app.state.database.reading_engine.connect() for _ in range(places)]
    await asyncio.gather(*held)
    assert (await laboratory.get("/api/read")).status_code == 503
    visits, HealthCheck.cache_seconds = gateway.visits, 60
    answers = await asyncio.gather(*(laboratory.get("/health") for _ in range(9)))
    assert (statuses(answers), gateway.visits) == ([200] * 9, visits + 1)
    await asyncio.gather(*(connection.close() for connection in held))
    assert (await laboratory.get("/api/read")).status_code == 200


async def test_a_server_without_a_free_connection_is_503_until_it_has_one(
    laboratory: AsyncClient, app: FastAPI, gateway: FaultyProxy, database_url: str
) -> None:
    name = make_url(database_url).database
    account = f"limited_{name}"
    await laboratory.post(
        "/api/write", params={"statement": f"CREATE ROLE {account} LOGIN PASSWORD 'p' CONNECTION LIMIT 0"}
    )
    limited = make_url(database_url).set(username=account, password="p").render_as_string(hide_password=False)
    other = create_app(behind(gateway, limited))
    other.router.routes.extend(app.router.routes[-2:])
    async with other.router.lifespan_context(other), client_of(other) as client:
        assert (await client.get("/api/read")).status_code == 503
        await laboratory.post("/api/write", params={"statement": f"ALTER ROLE {account} CONNECTION LIMIT 9"})
        assert (await client.get("/api/read")).status_code == 200
    await laboratory.post("/api/write", params={"statement": f"DROP ROLE {account}"})


async def test_what_the_server_cannot_help_is_503_and_a_wrong_statement_is_our_fault(
    app: FastAPI, laboratory: AsyncClient
) -> None:
    for code in ("40001", "40P01", "25006", "55P03", "57P01", "58030"):
        statement = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
        answer = await laboratory.post("/api/write", params={"statement": statement})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2"), code
    statement = "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$"  # disk_full
    assert (await laboratory.post("/api/write", params={"statement": statement})).status_code == 507
    async with client_of(app) as client:
        assert (await client.get("/api/read", params={"statement": "SELECT nothing"})).status_code == 500


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://testserver")


async def test_a_server_that_does_not_even_greet_is_unavailable(settings: Settings, gateway: FaultyProxy) -> None:
    gateway.silence()
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_of(app) as client, asyncio.timeout(MAX_ANSWER_SECONDS):
        assert (await client.post("/accounts/login", data={"email": "a", "password": "b"})).status_code == 503


async def test_a_server_that_restarts_is_used_again(
    laboratory: AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that was started where no programs are on the PATH, as the first test that asks for the shared one may."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with postgres() as server:
        other = create_app(settings_for(server.url("postgres")))
        other.router.routes.extend(app.router.routes[-2:])
        async with other.router.lifespan_context(other), client_of(other) as client:
            assert (await client.get("/api/read")).status_code == 200
            await asyncio.to_thread(server.stop)
            assert (await client.get("/api/read")).status_code == 503
            await asyncio.to_thread(server.start)
            assert (await client.get("/api/read")).status_code == 200
