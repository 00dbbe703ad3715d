"""PostgreSQL by psycopg 3."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.db.database import Database
from app.core.db.pool import TimedPool
from app.core.db.url import DatabaseURL
from app.core.settings import Settings


class PostgreSQLDatabase(Database):
    """psycopg 3: READ COMMITTED to write, one read-only snapshot to read."""

    def _writing_engine(self) -> AsyncEngine:
        return self._engine(isolation_level="READ COMMITTED")

    def _reading_engine(self) -> AsyncEngine:
        engine = self._engine(isolation_level="REPEATABLE READ")
        event.listen(engine.sync_engine, "connect", _only_read)
        return engine

    def _engine(self, **options: Any) -> AsyncEngine:
        return create_async_engine(
            self.url.url,
            connect_args=postgresql_arguments(self.url, self.settings),
            poolclass=TimedPool,
            pool_size=self.settings.database_pool_size,
            max_overflow=self.settings.database_max_overflow,
            pool_timeout=self.settings.database_pool_timeout,
            pool_pre_ping=True,
            pool_recycle=280,  # hosts drop idle connections after five minutes
            hide_parameters=True,
            **options,
        )


def postgresql_arguments(url: DatabaseURL, settings: Settings) -> dict[str, Any]:
    """libpq's and psycopg's arguments for one connection; those in the URL win."""
    arguments: dict[str, Any] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 5000,
        "keepalives_idle": 30,
        "application_name": "opportune",
    }
    arguments = {name: value for name, value in arguments.items() if name not in url.url.query}
    if settings.database_pooled != "false":
        # A pooler gives each transaction another server connection, where our statement is not, or is not ours.
        arguments["prepare_threshold"] = None
    return arguments


def _only_read(connection: Any, _record: object) -> None:
    connection.set_read_only(True)
    connection.set_deferrable(True)
