"""Reused database connections are as clean as new ones."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import IsolationLevel

from opportune.db.drivers import psycopg_timeouts
from opportune.db.drivers.psycopg_timeouts import TimedConnection
from opportune.testing.services.postgres import PASSWORD, USER, Postgres
from opportune.testing.services.spare_databases import SpareDatabases

CHANGE_STATE = """
    SET statement_timeout = 7000; SET ROLE pg_monitor; LISTEN news; CREATE TEMP TABLE notes (id int);
    SELECT pg_advisory_lock(1)
"""
READ_STATE = """
    SELECT current_setting('statement_timeout'), current_user, to_regclass('notes'),
    (SELECT count(*) FROM pg_listening_channels()),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


@pytest.fixture
async def spares(
    postgres_server: Postgres, postgres_template: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SpareDatabases]:
    """Spare connections of this test only."""
    spares = SpareDatabases(postgres_server, postgres_template, asyncio.get_running_loop())
    spares.connections.patch(monkeypatch)
    yield spares
    for connection in opened:
        connection.pgconn.finish()
    opened.clear()
    spares.close()


opened: list[TimedConnection] = []


async def connect(spares: SpareDatabases, name: str, **options: Any) -> TimedConnection:
    address = {"host": "127.0.0.1", "port": spares.server.port, "user": USER, "password": PASSWORD, "dbname": name}
    connect = psycopg_timeouts.TimedConnection.connect_with_retry
    parameters: dict[str, Any] = {"statement_timeout_seconds": 30, **address, **options}
    opened.append(await connect(**parameters))
    return opened[-1]


async def test_reused_connection_is_clean(spares: SpareDatabases) -> None:
    name = spares.take()
    first = await connect(spares, name)
    initial_state = await (await first.execute(READ_STATE)).fetchone()
    await first.execute(CHANGE_STATE)
    await first.commit()
    await first.set_isolation_level(IsolationLevel.SERIALIZABLE)
    await first.set_read_only(True)
    await first.close()
    reopened = await connect(spares, name)
    assert reopened is first
    assert await (await reopened.execute(READ_STATE)).fetchone() == initial_state
    assert (reopened.autocommit, reopened.isolation_level, reopened.read_only) == (False, None, None)
    await reopened.rollback()
    await reopened.close()


async def test_idle_connection_allows_dropping_its_database(spares: SpareDatabases) -> None:
    name = spares.take()
    first = await connect(spares, name)
    await first.close()
    spares.give_back(name)
    assert spares.take() == name
    spares.connections.forget(name)
    assert first.closed
    assert await connect(spares, name) is not first


async def test_other_settings_get_a_new_connection(spares: SpareDatabases) -> None:
    name = spares.take()
    first = await connect(spares, name)
    await first.close()
    for option in ({"statement_timeout_seconds": 5}, {"application_name": "other"}):
        other = await connect(spares, name, **option)
        assert other is not first
        await other.close()
    assert await connect(spares, spares.take()) is not first
    assert await asyncio.to_thread(asyncio.run, connect(spares, name)) is not first


async def test_broken_connection_is_not_reused(spares: SpareDatabases) -> None:
    name = spares.take()
    in_transaction, killed = await connect(spares, name), await connect(spares, name)
    await in_transaction.execute("SELECT 1")
    await in_transaction.close()
    await killed.close()
    spares.in_use[name].connection.execute("SELECT pg_terminate_backend(%s, 5000)", [killed.info.backend_pid])
    assert await connect(spares, name) not in (in_transaction, killed)
