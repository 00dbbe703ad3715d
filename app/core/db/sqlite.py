"""SQLite on disk."""

import asyncio

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.db.database import Database
from app.core.db.file import make_private


class SQLiteDatabase(Database):
    """A file in WAL mode: one connection that writes, a pool that cannot."""

    def _writing_engine(self) -> AsyncEngine:
        # A pool of one is the queue of writers: they wait here in their order, and not for SQLite's lock.
        return self._engine(begin="BEGIN IMMEDIATE", pool_size=1, max_overflow=0)

    def _reading_engine(self) -> AsyncEngine:
        settings = self.settings
        engine = self._engine(
            begin="BEGIN", pool_size=settings.database_pool_size, max_overflow=settings.database_max_overflow
        )
        event.listen(engine.sync_engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
        return engine

    def _engine(self, begin: str, **pool: int) -> AsyncEngine:
        engine = create_async_engine(
            self.url.url,
            # Without this the driver begins transactions by its own rules, and never with IMMEDIATE.
            connect_args={"isolation_level": None},
            execution_options={"sqlite_begin": begin},
            pool_timeout=self.settings.database_pool_timeout,
            hide_parameters=True,
            **pool,
        )
        event.listen(engine.sync_engine, "connect", configure_sqlite)
        event.listen(engine.sync_engine, "begin", begin_sqlite)
        return engine

    async def setup(self) -> None:
        await asyncio.to_thread(make_private, self.url.path)


def configure_sqlite(connection: DBAPIConnection, _record: object = None) -> None:
    """What every connection to a SQLite file needs; for migrations too."""
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["sqlite_begin"])
