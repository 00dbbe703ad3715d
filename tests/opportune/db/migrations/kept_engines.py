"""Engines that keep their connections for the rest of a test: a new one has to look up all catalogs of PostgreSQL."""

from typing import Any

from sqlalchemy import Engine, QueuePool, create_engine, event

from opportune.db.drivers.sync_engines import postgresql_engine
from opportune.db.url.database_url import DatabaseURL
from opportune.testing.services.kept_connections import AS_NEW


class KeptEngines:
    """One for each database of a test; what others are copied from may have no connections, and keeps none."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}

    def of(self, url: DatabaseURL) -> Engine:
        if not url.database.startswith("test_"):
            return postgresql_engine(url)
        if url.database not in self._engines:
            self._engines[url.database] = engine = create_engine(
                url.sync_url, poolclass=QueuePool, connect_args=url.arguments, hide_parameters=True
            )
            event.listen(engine, "reset", _make_new)
        return self._engines[url.database]

    def dispose(self) -> None:
        for engine in self._engines.values():
            engine.dispose()


def _make_new(connection: Any, _record: object, _state: object) -> None:
    connection.rollback()
    connection.autocommit = True
    connection.execute(AS_NEW)
    connection.autocommit = False
