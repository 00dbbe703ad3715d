"""Tests with a real replica. Pausing its replay makes it lag."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import func, make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db import Database, ReadonlyCtx, ReadSession, RWCtx, WriteSession, open_database, utc_now
from opportune.db.drivers import replica as replica_module
from opportune.db.drivers.replica import Replica
from opportune.errors import OperatorError
from opportune.jobs import JobContext, job
from opportune.jobs.execution import run_attempt
from opportune.jobs.models import ClaimedJob
from opportune.jobs.store import JobStore
from opportune.services import Services
from opportune.testing.app import create_test_app
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres, replica
from opportune.web.health import HealthCheck
from opportune.web.middleware.read_your_writes import ReadYourWritesMiddleware
from tests.opportune.site_with import client_of
from tests.opportune.waiting import wait_until

pytestmark = pytest.mark.database("postgresql")


IS_REPLICA = text("SELECT pg_is_in_recovery()")


class Standby:
    """Replica whose lag and availability tests control."""

    def __init__(self, primary: Postgres, server: Postgres) -> None:
        self.primary = primary
        self.server = server

    def catch_up(self) -> None:
        """Wait until the replica has replayed all changes."""
        now = self.primary.connection.execute("SELECT pg_logical_emit_message(false, '', '', true)").fetchone()
        with self._connection() as connection:
            while connection.execute("SELECT pg_last_wal_replay_lsn() >= %s", now).fetchone() != (True,):
                pass

    @contextmanager
    def lagging(self) -> Iterator[None]:
        """Pause the replay during the block."""
        self.catch_up()
        with self._connection() as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            while connection.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
                pass
        try:
            yield
        finally:
            with self._connection() as connection:
                connection.execute("SELECT pg_wal_replay_resume()")

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()

    def _connection(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.server.url("postgres"), autocommit=True)


@pytest.fixture(scope="module")
def standby(postgres_server: Postgres) -> Iterator[Standby]:
    with replica(postgres_server) as server:
        yield Standby(postgres_server, server)


@pytest.fixture
def settings(database_url: str, standby: Standby) -> Settings:
    url = make_url(database_url).set(port=standby.server.port).render_as_string(hide_password=False)
    standby.catch_up()
    changes = {"jobs": "off", "database_reader_url": SecretStr(url), "database_replica_lag": 3600}
    return settings_for(database_url).model_copy(update=changes)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """Site with routes that return whether they read from the replica."""
    app = create_test_app(settings)

    @app.api_route("/api/write", methods=["GET", "POST"])
    async def write(session: WriteSession) -> None:
        session.add(User(email="a@example.com", hashed_password="none"))

    @app.get("/api/count")
    async def count(session: ReadSession) -> int:
        return await session.scalar(select(func.count()).select_from(User)) or 0

    @app.api_route("/api/session", methods=["GET", "POST"])
    async def session(session: ReadSession) -> bool:
        return bool(await session.scalar(IS_REPLICA))

    @app.api_route("/api/readonly", methods=["GET", "POST"])
    async def readonly(context: ReadonlyCtx) -> bool:
        return bool(await context.reader.scalar(IS_REPLICA))

    @app.api_route("/api/context", methods=["GET", "POST"])
    async def read_from_both(context: RWCtx) -> list[bool]:
        return [bool(await session.scalar(IS_REPLICA)) for session in (context.reader, context.writer)]

    async with app.router.lifespan_context(app):
        yield app


async def reads_from_replica(database: Database) -> bool:
    async with database.reader() as session:
        return bool(await session.scalar(IS_REPLICA))


@pytest.mark.parametrize("fresh", [False, True])
async def test_reader_is_a_read_only_snapshot(database: Database, fresh: bool) -> None:
    settings = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    settings += ", current_setting('transaction_deferrable')"
    async with database.reader(fresh=fresh) as session:
        assert await session.scalar(IS_REPLICA) is not fresh
        assert (await session.execute(text(settings))).one() == ("repeatable read", "on", "on")
        with pytest.raises(DBAPIError):
            await session.execute(text("DELETE FROM accounts_user"))


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_user_reads_own_writes_despite_replica_lag(app: FastAPI, standby: Standby, method: str) -> None:
    async with client_of(app) as author, client_of(app) as stranger:
        with standby.lagging():
            assert (await author.request(method, "/api/write")).status_code == 200
            assert (await author.get("/api/count")).json() == 1
            assert (await stranger.get("/api/count")).json() == 0
            author.cookies.clear()
            assert (await author.get("/api/count")).json() == 0
        standby.catch_up()
        assert (await stranger.get("/api/count")).json() == 1


async def test_job_reads_from_the_primary(settings: Settings, database: Database) -> None:
    recorded = []

    @job("read")
    async def read(run: JobContext) -> None:
        recorded.append(await reads_from_replica(run.database))

    claimed = ClaimedJob(1, "read", [], "default", 0, None, 1, utc_now(), "claim", False, "", None)
    services = Services(settings=settings, database=database, storage=None)
    await asyncio.create_task(run_attempt(claimed, JobStore(database, {"read": read}, {}), services))
    assert recorded == [False]
    assert await reads_from_replica(database)


async def test_unsafe_request_reads_from_the_primary(app: FastAPI) -> None:
    expected: dict[str, object] = dict.fromkeys(("/api/session", "/api/readonly"), (True, False))
    expected["/api/context"] = ([True, False], [False, False])
    async with client_of(app) as client:
        for path, results in expected.items():
            client.cookies.clear()  # of the previous POST
            assert ((await client.get(path)).json(), (await client.post(path)).json()) == results, path


async def test_write_cookie_lasts_as_long_as_a_lag(app: FastAPI) -> None:
    async with client_of(app) as client:
        cookie = (await client.post("/api/write")).headers["set-cookie"]
        assert cookie == "wrote=1; Max-Age=3601; Path=/; HttpOnly; SameSite=Lax"
        assert "set-cookie" not in (await client.get("/api/count")).headers


async def test_write_cookie_is_secure_in_production() -> None:
    settings = settings_for("postgresql://u@h/d").model_copy(update={"environment": "production"})
    site = FastAPI()
    site.add_middleware(ReadYourWritesMiddleware, settings=settings)
    async with client_of(site) as client:
        cookie = (await client.post("/")).headers["set-cookie"]
    assert cookie == "__Host-wrote=1; Max-Age=6; Path=/; HttpOnly; SameSite=Lax; Secure"


async def test_session_lookup_uses_the_primary(app: FastAPI, standby: Standby) -> None:
    with standby.lagging():
        async with signed_in_client(app) as client:
            assert (await client.get("/accounts/profile")).status_code == 200
            assert (await client.get("/api/v1/users/me")).status_code == 200


async def test_primary_replaces_an_unavailable_replica(
    app: FastAPI, standby: Standby, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Replica, "retry_delay_seconds", 0.05)
    caplog.set_level(logging.WARNING, "opportune.db.drivers.replica")
    monkeypatch.setattr(HealthCheck, "cache_seconds", 0)
    (reader,) = app.state.database.replicas.members
    async with client_of(app) as client:
        assert (await client.get("/api/session")).json() is True
        assert (await client.get("/health")).status_code == 200
        with standby.unavailable():
            responses = [await client.get("/api/session") for _ in range(3)]
            assert [(response.status_code, response.text) for response in responses] == [(200, "false")] * 3
            assert (await client.get("/api/context")).json() == [False, False]
            client.cookies.clear()  # a request that uses the writer counts as a change
            assert (await client.get("/health")).status_code == 503
            assert (await client.get("/health/ready")).status_code == 200
            with pytest.raises(OperatorError, match=f"127.0.0.1:{standby.server.port}"):
                await app.state.database.ping()
            await app.state.database.ping(reader=False)
        await wait_until(lambda: not reader.problem)
        assert (await client.get("/api/session")).json() is True
        assert (await client.get("/health")).status_code == 200
    messages = [record.getMessage() for record in caplog.records if record.name == "opportune.db.drivers.replica"]
    assert len(messages) == 2
    name = f"Replica 127.0.0.1:{standby.server.port}"
    assert messages[0].startswith(f"{name} is not used: ")
    assert messages[1] == f"{name} is used again."


async def test_replica_lost_during_a_read_is_not_used_again(database: Database, standby: Standby) -> None:
    with ExitStack() as stack:

        async def read_twice() -> None:
            async with database.reader() as session:
                assert await session.scalar(IS_REPLICA)
                stack.enter_context(standby.unavailable())
                await session.scalar(IS_REPLICA)

        with pytest.raises(DBAPIError):
            await read_twice()
        assert not database.replicas.usable
        assert not await reads_from_replica(database)


async def test_busy_replica_is_not_unavailable(settings: Settings) -> None:
    single_connection = {"database_pool_size": 1, "database_max_overflow": 0, "database_pool_timeout": 0.1}
    async with open_database(settings.model_copy(update=single_connection)) as database:
        async with database.reader() as session:
            assert await session.scalar(IS_REPLICA)
            with pytest.raises(PoolTimeoutError):
                await reads_from_replica(database)
        assert await reads_from_replica(database)


@pytest.fixture
async def lag_limited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """Database whose replica may lag for a tenth of a second."""
    monkeypatch.setattr(replica_module, "MEASUREMENT_SECONDS", 0)
    monkeypatch.setattr(Replica, "confirm_delay_seconds", 0.01)
    monkeypatch.setattr(Replica, "retry_delay_seconds", 0.01)
    async with open_database(settings.model_copy(update={"database_replica_lag": 0.1})) as database:
        yield database


async def test_lagging_replica_is_not_read(
    lag_limited: Database, standby: Standby, caplog: pytest.LogCaptureFixture
) -> None:
    (replica,) = lag_limited.replicas.members
    with standby.lagging():
        await make_user(lag_limited)
        async with asyncio.timeout(30):
            while "is not used" not in caplog.text:
                await reads_from_replica(lag_limited)
                await asyncio.sleep(0)
        assert "it lags" in replica.problem
        assert not await reads_from_replica(lag_limited)
    await wait_until(lambda: not replica.problem)  # a read may find that it lags again under load
    messages = [record.getMessage() for record in caplog.records if record.name == replica_module.__name__]
    assert [message.partition(" is ")[2].partition(":")[0] for message in messages] == ["not used", "used again."]


async def test_other_replica_is_read_instead_of_a_lost_one(settings: Settings, unused_tcp_port: int) -> None:
    url = settings.database_reader_url.get_secret_value()
    lost = make_url(url).set(port=unused_tcp_port).render_as_string(hide_password=False)
    addresses = SecretStr(f"{lost} {url}")
    async with open_database(settings.model_copy(update={"database_reader_url": addresses})) as database:
        assert [await reads_from_replica(database) for _ in range(4)] == [False, True, True, True]
        assert [bool(replica.problem) for replica in database.replicas.members] == [True, False]


async def test_requests_stop_waiting_for_a_silent_replica(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "connect_timeout_seconds", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = make_url(settings.database_reader_url.get_secret_value()).set(port=silent.getsockname()[1])
        address = SecretStr(url.render_as_string(hide_password=False))
        changes = {"database_reader_url": address, "database_pool_timeout": 60}
        database = open_database(settings.model_copy(update=changes))
        async with asyncio.timeout(30):  # requests that wait for a connection of the full pool do not wait longer
            assert await asyncio.gather(*(reads_from_replica(database) for _ in range(15))) == [False] * 15
        assert not database.replicas.usable
        await database.dispose()


async def test_reads_are_shared_by_weight(settings: Settings) -> None:
    url = settings.database_reader_url.get_secret_value()
    addresses = SecretStr(f"{url}?weight=3\n{url}")
    async with open_database(settings.model_copy(update={"database_reader_url": addresses})) as database:
        engines = []
        for _ in range(8):
            async with database.reader() as session:
                engines.append(session.bind)
        assert [engines.count(replica.engine) for replica in database.replicas.members] == [6, 2]
