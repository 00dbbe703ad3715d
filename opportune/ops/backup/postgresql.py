"""PostgreSQL by its own programs: pg_dump, and pg_restore with psql."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, text

from opportune.config.settings import Settings
from opportune.db.migrations.connection import ADVISORY_LOCK_ID, TABLE_LOCK_TIMEOUT_SECONDS, connect, migration_url
from opportune.db.migrations.graph import MigrationGraph, feature_of_revision
from opportune.db.migrations.history import VERSION_TABLE, recorded_revisions
from opportune.errors import OperatorError
from opportune.ops.backup.archive import CHUNK_BYTES, Manifest
from opportune.ops.backup.sqlite import DatabaseState
from opportune.ops.backup.subprocesses import Program, error_line

UPDATE = "PostgreSQL's programs must be as new as those that wrote it."
INSTALL = "install PostgreSQL's programs (Debian: apt install postgresql-client)"
TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(quote_ident(current_schema()))
"""

# Newer programs set what an older server does not know.
UNKNOWN_TO_SOME = b"SET transaction_timeout"
SETTING = re.compile(rb"^SET ")
FIRST_OBJECT = (b"CREATE ", b"COPY ", b"ALTER ")


class Dump:
    """One moment of a database, to be written by pg_dump."""

    def __init__(self, connection: Connection, graph: MigrationGraph) -> None:
        # While pg_dump works, this connection only waits. Some hosts would cut it after a few minutes.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        self._snapshot = str(connection.scalar(text("SELECT pg_export_snapshot()")))
        self.namespace = str(connection.scalar(text("SELECT current_schema()")))
        tables = own_tables(connection, graph)
        self.state = DatabaseState(sorted(recorded_revisions(connection)), tables, count_rows(connection, tables))

    def write(self, settings: Settings, file: BinaryIO) -> None:
        """Write it while the connection that it was made with is open.

        Raises:
            OperatorError: pg_dump fails.
        """
        tables = [f'--table="{_quoted(self.namespace)}"."{_quoted(name)}"' for name in self.state.tables]
        command = ["pg_dump", "--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--no-password"]
        command += [f"--snapshot={self._snapshot}", f"--lock-wait-timeout={TABLE_LOCK_TIMEOUT_SECONDS}s", *tables]
        done = subprocess.run(
            [*command, "--dbname", address(settings)],
            env={**os.environ, **migration_url(settings).environ},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise OperatorError(f"pg_dump failed: {error_line(done.stderr)}")


@contextmanager
def open_dump(settings: Settings, graph: MigrationGraph) -> Iterator[Dump]:
    """A dump of the configured database as it is now."""
    with connect(settings) as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        yield Dump(connection, graph)


def why_no_dump(settings: Settings) -> str:
    """Why pg_dump cannot be used with this server; empty if it can."""
    if migration_url(settings).pooled:
        return "it would leave its settings in the pooler's connections (set DATABASE_DIRECT_URL)"
    if not shutil.which("pg_dump"):
        return "it is not installed"
    said = subprocess.run(["pg_dump", "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S607
    found = re.search(r"\d+", said)
    with connect(settings) as connection:
        server = int(str(connection.scalar(text("SHOW server_version_num")))) // 10000
    if not found or int(found[0]) < server:
        return f"it is of version {found[0] if found else '?'}, older than the server's {server}"
    return ""


def refuse_unreadable(dump: Path) -> None:
    """Have pg_restore look at a dump, before anything else happens.

    Raises:
        OperatorError: a program is missing, or cannot read it.
    """
    if missing := [name for name in ("pg_restore", "psql") if not shutil.which(name)]:
        raise OperatorError(f"This backup wants {' and '.join(missing)}: {INSTALL}.")
    command = ["pg_restore", "--list", str(dump)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise OperatorError(
            f"pg_restore cannot read this backup: {error_line(done.stderr)}. Is it of an older version? {UPDATE}"
        )


def restore(settings: Settings, graph: MigrationGraph, manifest: Manifest, dump: Path) -> None:
    """Replace the tables of the configured database by those of a dump, in one transaction.

    Raises:
        OperatorError: it failed, and nothing has changed.
    """
    with connect(settings) as connection:
        namespace = str(connection.scalar(text("SELECT current_schema()")))
        tables = own_tables(connection, graph, manifest)
    if namespace != manifest.namespace:
        raise OperatorError(f"The backup is of the schema {manifest.namespace}, and the database's is {namespace}.")
    read = ["pg_restore", "--file=-", "--no-owner", "--no-privileges", str(dump)]
    execute = ["psql", "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-"]
    execute += ["--dbname", address(settings)]
    environ = {**os.environ, **migration_url(settings).environ}
    with (
        Program(read, stdout=subprocess.PIPE) as script,
        Program(execute, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environ) as client,
    ):
        with client.accepting() as statements:
            statements.write(_beginning(namespace, tables))
            copy_script(script.said, statements)
            # Only after a whole script comes the COMMIT; without it everything is undone.
            if script.succeeds():
                statements.write(ending(manifest))
        fault = client.fault() or script.fault()
    if fault:
        hint = (
            ". Drop what others have built on our tables (views, foreign keys) first." if "depend on" in fault else ""
        )
        raise OperatorError(f"The restore failed and nothing was changed: {fault}{hint}")


def own_tables(connection: Connection, graph: MigrationGraph, manifest: Manifest | None = None) -> list[str]:
    """The tables of our features, removed ones too, among those of others in the same schema."""
    revisions = [*recorded_revisions(connection), *(manifest.revisions if manifest else ())]
    features = {*graph.features, *map(feature_of_revision, revisions)}
    starts = tuple(f"{feature}_" for feature in features)
    names = list(connection.scalars(text(TABLES)))
    return sorted(name for name in names if name.startswith(starts) or name == VERSION_TABLE.name)


def count_rows(connection: Connection, tables: Sequence[str]) -> dict[str, int]:
    """How many rows each of these tables has."""
    quoted = connection.dialect.identifier_preparer.quote_identifier
    counts = {name: text(f"SELECT count(*) FROM {quoted(name)}") for name in tables}
    return {name: int(connection.scalar(query) or 0) for name, query in counts.items()}


def address(settings: Settings) -> str:
    """How libpq's programs are told the database, and how long to try."""
    url = migration_url(settings)
    arguments = {name: value for name, value in url.arguments.items() if name != "prepare_threshold"}  # psycopg's own
    return make_conninfo(url.conninfo, **arguments)


def _beginning(namespace: str, tables: Sequence[str]) -> bytes:
    names = sql.SQL(", ").join(sql.Identifier(namespace, name) for name in tables)
    statements = [
        sql.SQL("BEGIN"),
        sql.SQL("SET LOCAL lock_timeout = {}").format(f"{TABLE_LOCK_TIMEOUT_SECONDS}s"),
        sql.SQL("SELECT pg_advisory_xact_lock({})").format(ADVISORY_LOCK_ID),
        *([sql.SQL("DROP TABLE {}").format(names)] if tables else []),
    ]
    return _lines(statements)


def ending(manifest: Manifest) -> bytes:
    """Compare what was restored with what the manifest says, and commit."""
    version = sql.Identifier(manifest.namespace, VERSION_TABLE.name)
    check = sql.SQL(
        'DO $$ BEGIN IF (SELECT array_agg(version_num::text ORDER BY version_num COLLATE "C") FROM {}) '
        "IS DISTINCT FROM {}::text[] THEN "
        "RAISE EXCEPTION 'its migrations are not those of its manifest'; END IF; END $$"
    ).format(version, sorted(manifest.revisions))
    return _lines([check, sql.SQL("COMMIT")])


def _lines(statements: Sequence[sql.Composable]) -> bytes:
    return "".join(f"{statement.as_string()};\n" for statement in statements).encode()


def copy_script(script: IO[bytes], statements: IO[bytes]) -> None:
    """Pass a script on, with its settings made the transaction's own: a pooler would hand them to others."""
    for line in script:
        if not line.startswith(UNKNOWN_TO_SOME):
            statements.write(
                SETTING.sub(rb"SET LOCAL ", line).replace(b"'search_path', '', false", b"'search_path', '', true")
            )
        if line.startswith(FIRST_OBJECT):
            break
    shutil.copyfileobj(script, statements, CHUNK_BYTES)


def _quoted(name: str) -> str:
    return name.replace('"', '""')
