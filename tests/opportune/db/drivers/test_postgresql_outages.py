"""Responses while PostgreSQL or the network fails, and after it recovers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from psycopg import OperationalError
from sqlalchemy import make_url, text

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db.drivers import postgresql, psycopg_timeouts
from opportune.db.drivers.psycopg_timeouts import TimedConnection
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.testing.factories import PASSWORD, make_user, sign_in
from opportune.testing.plugin import settings_for
from opportune.web.health import HealthCheck
from tests.opportune.db.drivers.faulty_proxy import FaultyProxy

pytestmark = pytest.mark.database("postgresql")

MAX_RESPONSE_SECONDS = 12
"""Limit for a response. Without the timeouts of the framework it takes 16 seconds or more."""


@pytest.fixture(autouse=True)
def short_timeouts() -> Iterator[None]:
    """Shorten all timeouts and delays, so that the tests are fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimedConnection, "probe_after_seconds", 0.2)
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
    return settings_behind(gateway, database_url)


def settings_behind(gateway: FaultyProxy, url: str, **changes: object) -> Settings:
    address = make_url(url).set(port=gateway.port).render_as_string(hide_password=False)
    return settings_for(address).model_copy(update={"jobs": "off", "database_pool_timeout": 0.5, **changes})


@pytest.fixture
async def visitor(app: FastAPI, client: AsyncClient, caplog: pytest.LogCaptureFixture) -> AsyncIterator[AsyncClient]:
    """Signed-in user, with connections in the pools of the reader and the writer."""
    await sign_in(client, app, await make_user(app.state.database, "ada@example.com"))
    assert (await client.get("/accounts/profile")).status_code == 200
    caplog.set_level(logging.INFO)
    yield client
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    database = app.state.database
    assert [engine.pool.checkedout() for engine in (database.engine, database.reading_engine)] == [0, 0]


async def send_requests(visitor: AsyncClient) -> list[Response]:
    """Send concurrent requests: signed-in pages, the API and a form that writes."""
    form = {"email": "ada@example.com", "password": PASSWORD}
    async with asyncio.timeout(MAX_RESPONSE_SECONDS):
        return list(
            await asyncio.gather(
                visitor.get("/accounts/profile"),
                visitor.get("/api/v1/users/me"),
                visitor.get("/admin/"),
                # Another browser, because signing in again would end the session of the other requests.
                visitor.post("/accounts/login", data=form, headers={"cookie": "another=browser"}),
            )
        )


def status_codes(responses: list[Response]) -> list[int]:
    return [response.status_code for response in responses]


@pytest.mark.parametrize("trusted_seconds", [60, 0], ids=["used just now", "idle"])
async def test_silent_server_is_503_until_it_responds(
    visitor: AsyncClient, gateway: FaultyProxy, monkeypatch: pytest.MonkeyPatch, trusted_seconds: int
) -> None:
    monkeypatch.setattr(postgresql, "TRUSTED_IDLE_SECONDS", trusted_seconds)
    expected = status_codes(await send_requests(visitor))
    gateway.silence()
    responses, health = await asyncio.gather(send_requests(visitor), visitor.get("/health"))
    assert status_codes([*responses, health]) == [503] * 5
    assert {response.headers["retry-after"] for response in responses} == {"2"}
    await gateway.restore()
    assert status_codes(await send_requests(visitor)) == expected
    assert (await visitor.get("/health")).status_code == 200


async def test_connections_return(visitor: AsyncClient, gateway: FaultyProxy, caplog: pytest.LogCaptureFixture) -> None:
    expected = status_codes(await send_requests(visitor))
    gateway.cut()
    assert status_codes(await send_requests(visitor)) == expected
    gateway.refuse()
    assert status_codes(await send_requests(visitor)) == [503] * 4
    assert f"No server responds at 127.0.0.1:{gateway.port}." in caplog.text
    assert (await visitor.get("/health/ready")).status_code == 503
    assert (await visitor.get("/health/live")).status_code == 200
    await gateway.restore()
    assert status_codes(await send_requests(visitor)) == expected


@pytest.fixture
async def sql_client(app: FastAPI, client: AsyncClient) -> AsyncClient:
    """Site with routes that run any statement."""

    @app.get("/api/read")
    async def read(session: ReadSession, statement: str = "SELECT 1") -> str:
        return str(await session.scalar(text(statement)))

    @app.post("/api/write")
    async def write(session: WriteSession, statement: str) -> None:
        await session.execute(text(statement))

    return client


@asynccontextmanager
async def running_site(settings: Settings, app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Start another site with the routes of `sql_client`, and yield its client."""
    site = create_app(settings)
    site.router.routes.extend(app.router.routes[-2:])
    async with site.router.lifespan_context(site), client_of(site) as client:
        yield client


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://testserver")


async def test_connect_is_retried(sql_client: AsyncClient, gateway: FaultyProxy) -> None:
    gateway.cut(next_connections=2)
    assert (await sql_client.get("/api/read")).status_code == 200
    assert gateway.connection_count == 3


async def test_refused_login_is_not_retried(database_url: str, gateway: FaultyProxy) -> None:
    url = make_url(database_url)
    address = {"host": "127.0.0.1", "port": gateway.port, "user": url.username, "password": url.password}
    with pytest.raises(OperationalError, match="does not exist"):
        await TimedConnection.connect_with_retry(**address, dbname="unknown", statement_timeout_seconds=1)
    assert gateway.connection_count == 1


async def test_statement_is_not_retried(sql_client: AsyncClient, gateway: FaultyProxy) -> None:
    await sql_client.post("/api/write", params={"statement": "CREATE SEQUENCE calls"})
    call = {"statement": "SELECT nextval('calls'), pg_sleep(60)"}
    request = asyncio.create_task(sql_client.post("/api/write", params=call))
    await wait_for_result(sql_client, "SELECT last_value FROM calls WHERE is_called", "1")
    gateway.cut()
    assert (await request).status_code == 503
    assert (await sql_client.get("/api/read", params={"statement": "SELECT last_value FROM calls"})).json() == "1"


async def wait_for_result(sql_client: AsyncClient, statement: str, result: str) -> None:
    async with asyncio.timeout(MAX_RESPONSE_SECONDS):
        while (await sql_client.get("/api/read", params={"statement": statement})).json() != result:
            await asyncio.sleep(0.01)


async def test_slow_statement_continues_while_server_responds(sql_client: AsyncClient) -> None:
    slow = {"statement": "SELECT 'done' FROM pg_sleep(0.5)"}
    assert (await sql_client.get("/api/read", params=slow)).json() == "done"


async def test_slow_statements_share_a_probe(app: FastAPI) -> None:
    async with app.state.database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver.probe_server() is driver.probe_server()


RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%%pg_sleep(60)'"


async def test_timed_out_statement_is_cancelled_on_the_server(
    database_url: str, gateway: FaultyProxy, sql_client: AsyncClient, app: FastAPI
) -> None:
    settings = settings_behind(gateway, database_url, database_statement_timeout=0.1)
    async with running_site(settings, app) as client, asyncio.timeout(MAX_RESPONSE_SECONDS):
        response = await client.get("/api/read", params={"statement": "SELECT pg_sleep(60)"})
    assert response.status_code == 503
    await wait_for_result(sql_client, RUNNING, "0")


async def test_cancelled_request_returns_its_connection(sql_client: AsyncClient, app: FastAPI) -> None:
    request = asyncio.create_task(sql_client.get("/api/read", params={"statement": "SELECT pg_sleep(60)"}))
    await wait_for_result(sql_client, RUNNING, "1")
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert app.state.database.reading_engine.pool.checkedout() == 0
    await wait_for_result(sql_client, RUNNING, "0")


async def test_full_pool_is_503_but_health_responds(
    sql_client: AsyncClient, app: FastAPI, settings: Settings, gateway: FaultyProxy
) -> None:
    pool_size = settings.database_pool_size + settings.database_max_overflow
    connections = [app.state.database.reading_engine.connect() for _ in range(pool_size)]
    await asyncio.gather(*connections)
    assert (await sql_client.get("/api/read")).status_code == 503
    connection_count, HealthCheck.cache_seconds = gateway.connection_count, 60
    responses = await asyncio.gather(*(sql_client.get("/health") for _ in range(9)))
    assert (status_codes(responses), gateway.connection_count) == ([200] * 9, connection_count + 1)
    await asyncio.gather(*(connection.close() for connection in connections))
    assert (await sql_client.get("/api/read")).status_code == 200


async def test_sql_errors_map_to_http_status(app: FastAPI, sql_client: AsyncClient) -> None:
    for code in ("40001", "25006", "55P03", "57P01"):
        statement = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
        response = await sql_client.post("/api/write", params={"statement": statement})
        assert (response.status_code, response.headers["retry-after"]) == (503, "2"), code
    statement = "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$"  # disk_full
    assert (await sql_client.post("/api/write", params={"statement": statement})).status_code == 507
    async with client_of(app) as client:
        assert (await client.get("/api/read", params={"statement": "SELECT nothing"})).status_code == 500


def test_errors_that_follow_a_raised_error_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("psycopg")
    logger.warning("error ignored terminating %r: %s", "pipeline", "aborted")
    logger.warning("another warning")
    assert caplog.messages == ["another warning"]


async def test_server_without_handshake_is_503(settings: Settings, gateway: FaultyProxy) -> None:
    gateway.silence()
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_of(app) as client, asyncio.timeout(MAX_RESPONSE_SECONDS):
        assert (await client.post("/accounts/login", data={"email": "a", "password": "b"})).status_code == 503
