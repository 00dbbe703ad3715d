"""Engines that keep connections during a test, because each new PostgreSQL connection loads the system catalogs."""

from typing import Any

from sqlalchemy import Engine, QueuePool, create_engine, event

from opportune.db.drivers.sync_engines import create_postgresql_engine
from opportune.db.url.database_url import DatabaseURL
from opportune.testing.services.connection_cache import RESET_STATEMENTS


class CachedEngines:
    """One engine per URL. Template databases must have no connections, so they get no pool."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}

    def engine(self, url: DatabaseURL) -> Engine:
        if not url.database.startswith("test_"):
            return create_postgresql_engine(url)
        if url.redacted not in self._engines:
            self._engines[url.redacted] = engine = create_engine(
                url.sync_url, poolclass=QueuePool, connect_args=url.arguments, hide_parameters=True
            )
            event.listen(engine, "reset", _reset)
        return self._engines[url.redacted]

    def dispose(self) -> None:
        for engine in self._engines.values():
            engine.dispose()


def _reset(connection: Any, _record: object, _state: object) -> None:
    connection.rollback()
    connection.autocommit = True
    connection.execute(RESET_STATEMENTS)
    connection.autocommit = False
