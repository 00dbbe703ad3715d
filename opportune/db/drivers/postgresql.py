"""PostgreSQL with psycopg 3."""

import asyncio
from collections.abc import Sequence
from functools import cached_property, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_

from opportune.config.settings import Settings
from opportune.db.bus import Bus
from opportune.db.bus.factory import listening_url
from opportune.db.bus.postgresql import PostgreSQLBus
from opportune.db.database import Database
from opportune.db.drivers.pool import ENGINE_OPTIONS, pool_options, read_password_on_connect
from opportune.db.drivers.replica import Replica, Replicas
from opportune.db.errors import explain
from opportune.db.sessions.session import read_sessionmaker
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.replicas import ReplicaUrl
from opportune.errors import OperatorError
from opportune.services.clock import clock

if TYPE_CHECKING:
    from opportune.db.drivers.psycopg_timeouts import TimedConnection

TRUSTED_IDLE_SECONDS = 1
"""Seconds after use in which a connection counts as alive, unless its socket has data to read."""
PING_TIMEOUT_SECONDS = 1.5
"""Seconds in which an idle connection must respond."""


class PostgreSQLDatabase(Database):
    """PostgreSQL: writers use READ COMMITTED, readers a read-only REPEATABLE READ snapshot."""

    def __init__(self, url: DatabaseUrl, settings: Settings, replica_urls: Sequence[ReplicaUrl] = ()) -> None:
        self.replica_urls = replica_urls
        super().__init__(url, settings)

    @cached_property
    def _autocommit_engine(self) -> AsyncEngine:
        # Without BEGIN and ROLLBACK, which would be two more round trips.
        return self.reading_engine.execution_options(isolation_level="AUTOCOMMIT")

    def _create_writing_engine(self) -> AsyncEngine:
        return self._create_engine(self.url, isolation_level="READ COMMITTED")

    def _create_reading_engine(self) -> AsyncEngine:
        return self._create_snapshot_engine(self.url)

    def _create_replicas(self) -> Replicas:
        return Replicas([self._create_replica(replica_url) for replica_url in self.replica_urls])

    def _create_replica(self, replica_url: ReplicaUrl) -> Replica:
        engine = self._create_snapshot_engine(replica_url.url)
        sessions = read_sessionmaker(engine, self.reading_info)
        return Replica(replica_url, engine, sessions, self.settings.database_replica_lag)

    def _create_bus(self) -> Bus:
        direct_url = listening_url(self.settings)
        return PostgreSQLBus(self.engine, direct_url) if direct_url else super()._create_bus()

    def _create_snapshot_engine(self, url: DatabaseUrl) -> AsyncEngine:
        engine = self._create_engine(url, isolation_level="REPEATABLE READ")
        event.listen(engine.sync_engine, "connect", _set_read_only)
        return engine

    def _create_engine(self, url: DatabaseUrl, **options: Any) -> AsyncEngine:
        timeout = self.settings.database_statement_timeout
        connect = partial(_timed_connection().connect_with_retry, statement_timeout_seconds=timeout)
        engine = create_async_engine(
            url.url,
            connect_args={**url.arguments, "async_creator_fn": connect},
            pool_use_lifo=True,  # the connection used last needs no liveness check
            native_inet_types=False,  # texts, as fields declare them and SQLite returns them
            pool_recycle=280,  # hosts drop idle connections after five minutes
            **ENGINE_OPTIONS,
            **pool_options(self.settings),
            **options,
        )
        read_password_on_connect(engine.sync_engine, url, is_async=True)
        if url is self.url:  # not that of a replica
            event.listen(engine.sync_engine, "connect", _compare_clocks)
        event.listen(engine.sync_engine, "checkin", _record_checkin_time)
        event.listen(engine.sync_engine, "checkout", _check_alive)
        return engine

    async def _probe(self, url: DatabaseUrl) -> None:
        from psycopg import Error  # SQLite does not need it

        positional, arguments = self.engine.dialect.create_connect_args(url.url)
        try:
            password = await asyncio.to_thread(url.read_password) if url.password_source else url.url.password
            arguments = {**arguments, **url.arguments, "password": password}
            async with await _timed_connection().connect(*positional, **arguments) as connection:
                await connection.execute("SELECT 1")
        except (Error, DBAPIError) as error:
            raise OperatorError(explain(error, url)) from error


def _timed_connection() -> "type[TimedConnection]":
    from opportune.db.drivers.psycopg_timeouts import TimedConnection  # SQLite does not need psycopg

    return TimedConnection


def _compare_clocks(_connection: object, record: ConnectionPoolEntry) -> None:
    clock.compare(*cast("TimedConnection", record.driver_connection).clock_reading)


def _set_read_only(connection: Any, _record: object) -> None:
    connection.set_read_only(True)
    connection.set_deferrable(True)


def _record_checkin_time(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["returned_at"] = monotonic()


def _check_alive(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Check that a connection is alive, unless it is new or was used within TRUSTED_IDLE_SECONDS.

    SQLAlchemy's pre-ping costs a round trip per request, and waits up to the statement timeout.
    """
    returned_at = record.info.get("returned_at")
    connection = cast("TimedConnection", record.driver_connection)
    if returned_at is None:
        return
    if monotonic() - returned_at < TRUSTED_IDLE_SECONDS and not connection.has_pending_data():
        return
    if not await_(connection.is_alive(PING_TIMEOUT_SECONDS)):
        raise InvalidatePoolError  # SQLAlchemy replaces all connections of that age
