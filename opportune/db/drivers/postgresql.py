"""PostgreSQL by psycopg 3."""

from functools import cached_property, partial
from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from opportune.config.settings import Settings
from opportune.config.speedups import speedup
from opportune.db.database import Database, read_sessionmaker
from opportune.db.drivers.pool import ENGINE_OPTIONS, pool_options
from opportune.db.drivers.replica import Replica
from opportune.db.errors import explain
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError


class PostgreSQLDatabase(Database):
    """psycopg 3: READ COMMITTED to write, one read-only snapshot to read."""

    def __init__(self, url: DatabaseURL, settings: Settings, reader_url: DatabaseURL | None = None) -> None:
        self.reader_url = reader_url
        super().__init__(url, settings)

    @cached_property
    def _autocommit_engine(self) -> AsyncEngine:
        """BEGIN and ROLLBACK would be two more round trips."""
        return self.reading_engine.execution_options(isolation_level="AUTOCOMMIT")

    def _writing_engine(self) -> AsyncEngine:
        return self._engine(self.url, isolation_level="READ COMMITTED")

    def _reading_engine(self) -> AsyncEngine:
        return self._snapshots(self.url)

    def _replica(self) -> Replica | None:
        if self.reader_url is None:
            return None
        engine = self._snapshots(self.reader_url)
        return Replica(engine, read_sessionmaker(engine, self.reading_info), self.reader_url)

    def _snapshots(self, url: DatabaseURL) -> AsyncEngine:
        engine = self._engine(url, isolation_level="REPEATABLE READ")
        event.listen(engine.sync_engine, "connect", _only_read)
        return engine

    def _engine(self, url: DatabaseURL, **options: Any) -> AsyncEngine:
        from opportune.db.drivers.psycopg_timeouts import connection_class  # noqa: PLC0415 - psycopg, which SQLite can do without

        connect = partial(connection_class().connect_with_retry, limit=self.settings.database_statement_timeout)
        pool_class = speedup("opportune.db.drivers.pool_adapter", "TimedPool", AsyncAdaptedQueuePool)
        return create_async_engine(
            url.url,
            connect_args={**url.arguments, "async_creator_fn": connect},
            poolclass=pool_class,
            pool_pre_ping=pool_class is AsyncAdaptedQueuePool,
            pool_use_lifo=True,  # the connection used last is the one that need not be asked whether it lives
            pool_recycle=280,  # hosts drop idle connections after five minutes
            **ENGINE_OPTIONS,
            **pool_options(self.settings),
            **options,
        )

    async def _probe(self, url: DatabaseURL) -> None:
        from psycopg import Error  # noqa: PLC0415 - as above

        from opportune.db.drivers.psycopg_timeouts import connection_class  # noqa: PLC0415 - as above

        words, arguments = self.engine.dialect.create_connect_args(url.url)
        try:
            async with await connection_class().connect(*words, **{**arguments, **url.arguments}) as connection:
                await connection.execute("SELECT 1")
        except Error as error:
            raise OperatorError(explain(error, url)) from error


def _only_read(connection: Any, _record: object) -> None:
    connection.set_read_only(True)
    connection.set_deferrable(True)
