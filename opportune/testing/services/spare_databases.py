"""PostgreSQL databases of finished tests, emptied for reuse: creating one takes ten times as long."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

import psycopg
from psycopg import Connection, sql

from opportune.testing.services.connection_cache import ConnectionCache
from opportune.testing.services.postgres import Postgres

MAX_TABLE_BYTES = 200_000
"""Deleted rows still take space, so larger tables would slow down later tests."""

MAX_BUSY_DATABASES = 5
"""Maximum number of databases that wait for the connections of their test to close."""

# Catalogues whose rows and transaction ids show whether a test has changed tables, columns, functions or settings.
CATALOGS = (
    *("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_type", "pg_enum", "pg_proc"),
    *("pg_trigger", "pg_namespace", "pg_extension", "pg_ts_config", "pg_ts_dict", "pg_ts_config_map"),
    *("pg_default_acl", "pg_event_trigger", "pg_policy", "pg_publication", "pg_statistic_ext", "pg_largeobject"),
)
ESTIMATES = "SELECT count(*), sum(greatest(reltuples, 0)::bigint) FROM pg_class WHERE relkind = 'r'"
SERVER_STATE = """
    SELECT count(*), sum(xmin::text::bigint) FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT count(*), 0 FROM pg_db_role_setting, pg_database
        WHERE setdatabase = pg_database.oid AND datname = current_database()
    UNION ALL SELECT count(*), 0 FROM pg_prepared_xacts WHERE database = current_database()
"""
OTHER_CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND pid <> ALL(%s)
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
DROP_STATEMENTS = (
    "SELECT 'SCHEMA ' || string_agg(quote_ident(nspname), ', ') FROM pg_namespace WHERE nspname !~ '^pg_' AND oid > %s",
    "SELECT 'EXTENSION ' || string_agg(quote_ident(extname), ', ') FROM pg_extension WHERE oid > %s",
    "SELECT 'TABLE ' || string_agg(quote_ident(relname), ', ') FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND oid > %s",
    "SELECT 'FUNCTION ' || string_agg(oid::regprocedure::text, ', ') FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace AND oid > %s",
)
"""Queries for objects that a test has created, newer than an oid. Each returns the end of a DROP statement."""
NEWEST_OID = "SELECT greatest((SELECT max(oid) FROM pg_class), (SELECT max(oid) FROM pg_proc))::bigint"
"""Highest oid. New objects get higher ones in all databases of the server."""
RESET_SEQUENCES = "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"
SEQUENCES = """
    SELECT seqrelid::regclass::text, pg_sequence_last_value(seqrelid) FROM pg_sequence
    WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
"""
"""Sequences used by migrations for shipped rows."""
# In this role, rows are deleted without foreign key checks.
SESSION_SETTINGS = "SET session_replication_role = replica; SET lock_timeout = '1s'"


class Spare(NamedTuple):
    """A database whose test has ended."""

    name: str
    connection: Connection[tuple[object, ...]]
    state: object
    """State before the test."""


class SpareDatabases:
    """Returns a copy of the template for each test: a reused database if only its rows changed, or a new one."""

    def __init__(self, server: Postgres, template: str, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.server, self.template = server, template
        self.connections = ConnectionCache(server.port, lambda name: name in self.in_use, loop)
        self.spares: list[Spare] = []
        self.in_use: dict[str, Spare] = {}
        with psycopg.connect(server.url(template)) as connection:
            tables = [str(name) for (name,) in connection.execute(TABLES)]
            tables_with_rows = _tables_with_rows(connection, tables)
            self.sequences = connection.execute(SEQUENCES).fetchall()
            self.newest_oid = connection.execute(NEWEST_OID).fetchone()
        self.empty_tables = [name for name in tables if name not in tables_with_rows]
        self.state_query = (
            _count_query(*CATALOGS, *tables_with_rows)
            + sql.SQL(" UNION ALL ")
            + sql.SQL(ESTIMATES + " UNION ALL " + SERVER_STATE)
        )

    def take(self) -> str:
        """Return the name of a database without rows."""
        spare = next(filter(self._is_emptied, self._pop_idle()), None) or self._create()
        self.in_use[spare.name] = spare
        return spare.name

    def _pop_idle(self) -> Iterator[Spare]:
        """Remove and return the databases without connections. A closed connection takes a moment to disappear."""
        for spare in self.spares[:]:
            if self._is_idle(spare):
                self.spares.remove(spare)
                yield spare
        for spare in self.spares[:-MAX_BUSY_DATABASES]:
            self._drop(spare)
        del self.spares[:-MAX_BUSY_DATABASES]

    def give_back(self, name: str) -> None:
        self.spares.append(self.in_use.pop(name))

    def close(self) -> None:
        """The databases are removed with their server."""
        self.connections.close()
        for spare in (*self.spares, *self.in_use.values()):
            spare.connection.close()

    def _create(self) -> Spare:
        name = f"test_{uuid4().hex}"
        connection = psycopg.connect(self.server.create_database(name, self.template), autocommit=True)
        connection.execute(SESSION_SETTINGS)
        return Spare(name, connection, self._state_of(connection))

    def _drop(self, spare: Spare) -> None:
        self.connections.forget(spare.name)
        spare.connection.close()
        self.server.drop_database(spare.name)

    def _is_idle(self, spare: Spare) -> bool:
        try:
            return spare.connection.execute(OTHER_CONNECTIONS, [self.connections.pids(spare.name)]).fetchone() == (0,)
        except psycopg.Error:
            return True  # the check below discards it

    def _is_emptied(self, spare: Spare) -> bool:
        if not (is_emptied := self._empty(spare)):
            self._drop(spare)
        return is_emptied

    def _empty(self, spare: Spare) -> bool:
        connection = spare.connection
        try:
            if self._state_of(connection) != spare.state:
                self._drop_new_objects(connection)
                if self._state_of(connection) != spare.state:
                    return False
            tables_to_empty = _tables_with_rows(connection, self.empty_tables)
            for table in tables_to_empty:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            connection.execute(RESET_SEQUENCES)
            for sequence in self.sequences:
                connection.execute("SELECT setval(%s::regclass, %s)", sequence)
            return not any(_table_bytes(connection, table) > MAX_TABLE_BYTES for table in tables_to_empty)
        except psycopg.Error:  # whatever the test changed
            return False

    def _drop_new_objects(self, connection: Connection[tuple[object, ...]]) -> None:
        for query in DROP_STATEMENTS:
            (objects,) = connection.execute(query, self.newest_oid).fetchone() or (None,)
            if objects:
                connection.execute(f"DROP {objects} CASCADE".encode())

    def _state_of(self, connection: Connection[tuple[object, ...]]) -> object:
        return connection.execute(self.state_query).fetchall()


def _count_query(*tables: str) -> sql.Composed:
    count = "SELECT count(*), sum(xmin::text::bigint) FROM {}"
    return sql.SQL(" UNION ALL ").join(sql.SQL(count).format(sql.Identifier(name)) for name in tables)


def _tables_with_rows(connection: Connection[tuple[object, ...]], tables: list[str]) -> list[str]:
    exists = sql.SQL(", ").join(sql.SQL("EXISTS (SELECT 1 FROM {})").format(sql.Identifier(name)) for name in tables)
    states = connection.execute(sql.SQL("SELECT ") + exists).fetchone() or ()
    return [name for name, has_rows in zip(tables, states, strict=True) if has_rows]


def _table_bytes(connection: Connection[tuple[object, ...]], table: str) -> int:
    states = connection.execute("SELECT pg_relation_size(%s::regclass)", [f'"{table}"']).fetchone()
    return int(str(states[0])) if states else 0
