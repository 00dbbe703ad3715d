"""Engines without an event loop and without a pool: for commands, which want one connection."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from opportune.db.drivers.sqlite import configure_sqlite
from opportune.db.url.database_url import DatabaseURL


def sqlite_engine(address: URL | str, begin: str = "BEGIN", **options: Any) -> Engine:
    """`begin` is what begins a transaction, until the execution option `sqlite_begin` says otherwise.

    The driver must leave that to us: it connects with `isolation_level=None`.
    """
    execution = {"sqlite_begin": begin}
    engine = create_engine(address, poolclass=NullPool, execution_options=execution, hide_parameters=True, **options)
    event.listen(engine, "begin", _begin)
    return engine


def postgresql_engine(url: DatabaseURL, **options: Any) -> Engine:
    return create_engine(url.sync_url, poolclass=NullPool, connect_args=url.arguments, hide_parameters=True, **options)


def writing_engine(url: DatabaseURL) -> Engine:
    """Make an engine for short transactions of a thread beside the event loop."""

    if url.kind == "postgresql":
        return postgresql_engine(url)
    engine = sqlite_engine(url.sync_url, "BEGIN IMMEDIATE", connect_args={"isolation_level": None})
    event.listen(engine, "connect", configure_sqlite)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["sqlite_begin"])
