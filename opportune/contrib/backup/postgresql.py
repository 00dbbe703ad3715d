"""Dump and restore PostgreSQL with its client programs pg_dump, pg_restore and psql."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, LiteralString, Self

from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, func, inspect, select, table, text

from opportune.config.settings import Settings
from opportune.contrib.backup.archive import CHUNK_BYTES, Manifest
from opportune.contrib.backup.sqlite import DatabaseState
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph, feature_of_revision
from opportune.db.migrations.history import VERSION_TABLE, read_revisions
from opportune.db.migrations.locks import ADVISORY_LOCK_ID, TABLE_LOCK_TIMEOUT_SECONDS
from opportune.db.migrations.ownership import find_other_tables, find_site_tables, read_applied_owners
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError

UPDATE_HINT = "PostgreSQL's client programs must be as new as those that wrote it."
INSTALL_HINT = "install PostgreSQL's client programs (Debian: apt install postgresql-client)"
PARTITIONED_TABLES = text("""
    SELECT relname FROM pg_class
    WHERE relkind = 'p' AND relnamespace = to_regnamespace(quote_ident(current_schema()))
""")
# Adopted tables can take numbers from sequences that no column owns, which would not be dumped or dropped with them.
SEQUENCES = text("""
    SELECT DISTINCT sequence.relname FROM pg_depend JOIN pg_attrdef ON pg_attrdef.oid = objid
    JOIN pg_class AS sequence ON sequence.oid = refobjid JOIN pg_class AS owner ON owner.oid = adrelid
    WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_class'::regclass AND sequence.relkind = 'S'
    AND sequence.relnamespace = to_regnamespace(quote_ident(current_schema())) AND owner.relname = ANY(:tables)
    AND owner.relnamespace = sequence.relnamespace AND NOT EXISTS (
        SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = sequence.oid AND deptype IN ('a', 'i'))
    ORDER BY 1
""")
COPY_STATEMENT = re.compile(
    rb'COPY (?:(?:"(?:[^"]|"")+"|[^" .]+)\.)?(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^" .(]+)) \('
)
END_OF_COPY = b"\\.\n"

# Newer client programs set this; servers before version 17 do not support it.
UNSUPPORTED_SETTING = b"SET transaction_timeout"
SETTING = re.compile(rb"^SET ")
FIRST_OBJECT = (b"CREATE ", b"COPY ", b"ALTER ")


class Dump:
    """Snapshot of a database, which pg_dump writes to a file."""

    def __init__(self, connection: Connection, graph: MigrationGraph) -> None:
        # The connection is idle while pg_dump runs, and some hosts close idle connections after a few minutes.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        self._snapshot = str(connection.scalar(text("SELECT pg_export_snapshot()")))
        self.namespace = str(connection.scalar(text("SELECT current_schema()")))
        revisions = sorted(read_revisions(connection))
        tables = find_tables_to_dump(connection, graph, revisions)
        partitioned = {*connection.scalars(PARTITIONED_TABLES)}  # their partitions hold the rows
        rows = count_rows(connection, [name for name in tables if name not in partitioned])
        self._sequences = connection.scalars(SEQUENCES, {"tables": tables}).all()
        self.state = DatabaseState(revisions, tables, rows)

    def write(self, settings: Settings, file: BinaryIO) -> None:
        """Run pg_dump while the snapshot's connection is open.

        Raises:
            OperatorError: The program pg_dump fails.
        """
        names = [*self.state.tables, *self._sequences]
        tables = [f'--table="{_escape_quotes(self.namespace)}"."{_escape_quotes(name)}"' for name in names]
        command = ["pg_dump", "--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--no-password"]
        command += [f"--snapshot={self._snapshot}", f"--lock-wait-timeout={TABLE_LOCK_TIMEOUT_SECONDS}s", *tables]
        process = subprocess.run(
            [*command, "--dbname", build_connection_string(settings)],
            env={**os.environ, **direct_url(settings).environ},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            check=False,
        )
        if process.returncode:
            raise OperatorError(f"pg_dump failed: {_error_line(process.stderr)}")


@contextmanager
def open_dump(settings: Settings, graph: MigrationGraph) -> Iterator[Dump]:
    with connect(settings) as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        yield Dump(connection, graph)


def find_obstacle_to_dump(settings: Settings) -> str:
    """Return why pg_dump cannot be used with this server, or ""."""
    if direct_url(settings).pooled:
        return "its settings would remain in the pooler's connections (set DATABASE_DIRECT_URL)"
    if not shutil.which("pg_dump"):
        return "it is not installed"
    output = subprocess.run(["pg_dump", "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S607
    match = re.search(r"\d+", output)
    version = int(match[0]) if match else None
    with connect(settings) as connection:
        server = int(str(connection.scalar(text("SHOW server_version_num")))) // 10000
    if version is None:
        return "it does not name its version"
    if version < server:
        return f"its version {version} is older than the server's {server}"
    return ""


def refuse_unreadable_dump(dump: Path) -> None:
    """Check that the client programs are installed and can read a dump.

    Raises:
        OperatorError: A program is missing, or pg_restore cannot read the dump.
    """
    if missing := [name for name in ("pg_restore", "psql") if not shutil.which(name)]:
        raise OperatorError(f"This backup needs {' and '.join(missing)}: {INSTALL_HINT}.")
    process = subprocess.run(["pg_restore", "--list", str(dump)], capture_output=True, check=False)  # noqa: S607
    if process.returncode:
        raise OperatorError(f"pg_restore cannot read this backup: {_error_line(process.stderr)}. {UPDATE_HINT}")


def find_unowned_tables(settings: Settings, graph: MigrationGraph, manifest: Manifest) -> list[str]:
    """Return the tables of the configured database that a restore would replace, although no feature owns them."""
    with connect(settings) as connection:
        others = find_other_tables(connection, read_applied_owners(connection, graph))
    return [name for name in others if name in manifest.tables]


def restore(settings: Settings, graph: MigrationGraph, manifest: Manifest, dump: Path) -> None:
    """Replace the tables of the configured database with those of a dump, in one transaction.

    Raises:
        OperatorError: The restore failed and was rolled back.
    """
    with connect(settings) as connection:
        namespace = str(connection.scalar(text("SELECT current_schema()")))
        existing = {*inspect(connection).get_table_names()}
        site_tables = find_site_tables(connection, read_applied_owners(connection, graph))
        tables = sorted({*site_tables, *existing.intersection(manifest.tables)})
        sequences = connection.scalars(SEQUENCES, {"tables": tables}).all()
    if namespace != manifest.namespace:
        raise OperatorError(f"The backup's schema is {manifest.namespace}, but the database uses {namespace}.")
    read_command = ["pg_restore", "--file=-", "--no-owner", "--no-privileges", str(dump)]
    psql_command = ["psql", "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-"]
    psql_command += ["--dbname", build_connection_string(settings)]
    environ = {**os.environ, **direct_url(settings).environ}
    with (
        _Program(read_command, stdout=subprocess.PIPE) as script,
        _Program(psql_command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environ) as client,
    ):
        with client.stdin() as statements:
            statements.write(_first_statements(namespace, tables, sequences))
            copy_script(script.stdout, statements)
            if script.succeeds():  # without the COMMIT everything is rolled back
                statements.write(final_statements(manifest))
        error = client.error() or script.error()
    if error:
        hint = ". First drop views and foreign keys that depend on this site's tables." if "depend on" in error else ""
        raise OperatorError(f"The restore failed and nothing was changed: {error}{hint}")


def find_tables_to_dump(connection: Connection, graph: MigrationGraph, revisions: Sequence[str]) -> list[str]:
    """Return the tables of the site's features. Other programs may share the schema.

    Migrations without a file, of removed features or newer code, cannot tell their tables. Better too many rows in a
    backup than too few, so only there the names of tables count.
    """
    owners = read_applied_owners(connection, graph)
    unknown = tuple(f"{feature_of_revision(row)}_" for row in revisions if row not in graph.by_revision)
    of_unknown_features = (name for name in find_other_tables(connection, owners) if name.startswith(unknown))
    return sorted({*find_site_tables(connection, owners), *of_unknown_features})


def count_rows(connection: Connection, tables: Iterable[str]) -> dict[str, int]:
    """Return the number of rows by table, without those of inheriting tables."""
    sources = {name: table(name) for name in tables}
    counts = {name: select(func.count()).select_from(source) for name, source in sources.items()}
    return {name: connection.scalar(query.with_hint(sources[name], "ONLY")) or 0 for name, query in counts.items()}


def count_rows_in_dump(dump: Path) -> dict[str, int]:
    """Read a whole dump and count the rows per table."""
    counts: dict[str, int] = {}
    with _Program(["pg_restore", "--file=-", str(dump)], stdout=subprocess.PIPE) as script:
        for line in script.stdout:
            if match := COPY_STATEMENT.match(line):
                name = (match["quoted"] or match["plain"]).decode().replace('""', '"')
                counts[name] = sum(1 for _ in takewhile(END_OF_COPY.__ne__, script.stdout))
        if error := script.error():
            raise OperatorError(f"pg_restore cannot read the dump: {error}")
    return counts


def build_connection_string(settings: Settings) -> str:
    """Return the database's connection string for libpq's programs, with timeouts and without the password."""
    url = direct_url(settings)
    arguments = {name: value for name, value in url.arguments.items() if name != "prepare_threshold"}  # psycopg only
    return make_conninfo(url.conninfo, **arguments)


def _first_statements(namespace: str, tables: Sequence[str], sequences: Sequence[str]) -> bytes:
    statements = [
        sql.SQL("BEGIN"),
        sql.SQL("SET LOCAL lock_timeout = {}").format(f"{TABLE_LOCK_TIMEOUT_SECONDS}s"),
        sql.SQL("SELECT pg_advisory_xact_lock({})").format(ADVISORY_LOCK_ID),
        *_drop_statements("TABLE", namespace, tables),
        *_drop_statements("SEQUENCE", namespace, sequences),
    ]
    return _render_statements(statements)


def _drop_statements(type_: LiteralString, namespace: str, names: Sequence[str]) -> list[sql.Composable]:
    identifiers = sql.SQL(", ").join(sql.Identifier(namespace, name) for name in names)
    return [sql.SQL("DROP " + type_ + " {}").format(identifiers)] if names else []


def final_statements(manifest: Manifest) -> bytes:
    """Return statements that roll back if the migrations differ from the manifest, and commit otherwise."""
    version = sql.Identifier(manifest.namespace, VERSION_TABLE.name)
    check = sql.SQL(
        'DO $$ BEGIN IF (SELECT array_agg(version_num::text ORDER BY version_num COLLATE "C") FROM {}) '
        "IS DISTINCT FROM {}::text[] THEN "
        "RAISE EXCEPTION 'its migrations differ from its manifest'; END IF; END $$"
    ).format(version, sorted(manifest.revisions))
    return _render_statements([check, sql.SQL("COMMIT")])


def _render_statements(statements: Sequence[sql.Composable]) -> bytes:
    return "".join(f"{statement.as_string()};\n" for statement in statements).encode()


def copy_script(script: IO[bytes], statements: IO[bytes]) -> None:
    """Copy a script with `SET` as `SET LOCAL`: a pooler would give session settings to other clients."""
    for line in script:
        if not line.startswith(UNSUPPORTED_SETTING):
            local = SETTING.sub(rb"SET LOCAL ", line)
            statements.write(local.replace(b"'search_path', '', false", b"'search_path', '', true"))
        if line.startswith(FIRST_OBJECT):
            break
    shutil.copyfileobj(script, statements, CHUNK_BYTES)


def _escape_quotes(name: str) -> str:
    return name.replace('"', '""')


def _error_line(stderr: bytes) -> str:
    """Return the first error line. Later lines can contain the data of rows."""
    lines = stderr.decode(errors="replace").splitlines()
    errors = [line for line in lines if "error:" in line.lower()] or lines or ["no error message"]
    return re.sub(r"^.*?error:\s*", "", errors[0], flags=re.IGNORECASE)


class _Program:
    """Context manager around a subprocess that collects its error messages."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self._stderr = TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(command, stderr=self._stderr, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.__exit__(None, None, None)
        self._stderr.close()

    @property
    def stdout(self) -> IO[bytes]:
        return self._process.stdout or BytesIO()

    @contextmanager
    def stdin(self) -> Iterator[IO[bytes]]:
        """Yield its standard input. If the program exits early, writing stops and `error` has the reason."""
        stdin = self._process.stdin or BytesIO()
        with suppress(BrokenPipeError), stdin:
            yield stdin

    def succeeds(self) -> bool:
        return self._process.wait() == 0

    def error(self) -> str:
        """Wait for the program and return its error message, or "" if it succeeded."""
        self.stdout.close()  # or it would wait for a reader
        if self.succeeds():
            return ""
        self._stderr.seek(0)
        return _error_line(self._stderr.read())
