"""Dumps of PostgreSQL's tables, which pg_dump writes."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, func, select, table, text

from opportune.config.settings import Settings
from opportune.contrib.backup.pg_programs import INSTALL_HINT, Program, build_connection_string, error_line
from opportune.contrib.backup.sqlite import DatabaseState
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph, feature_of_revision
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.locks import TABLE_LOCK_TIMEOUT_SECONDS
from opportune.db.migrations.ownership import find_other_tables, find_site_tables, read_applied_owners
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError

UPDATE_HINT = "PostgreSQL's client programs must be as new as those that wrote it."
PARTITIONED_TABLES = text("""
    SELECT relname FROM pg_class
    WHERE relkind = 'p' AND relnamespace = to_regnamespace(quote_ident(current_schema()))
""")
SEQUENCES = text(Path(__file__).with_name("adopted_sequences.sql").read_text(encoding="utf-8"))
"""Selects the sequences that the tables use, and that no column owns."""
COPY_STATEMENT = re.compile(
    rb'COPY (?:(?:"(?:[^"]|"")+"|[^" .]+)\.)?(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^" .(]+)) \('
)
END_OF_COPY = b"\\.\n"


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
        """Run pg_dump while the snapshot's connection is open."""
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
            raise OperatorError(f"pg_dump failed: {error_line(process.stderr)}")


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
    """Check that the client programs are installed and can read a dump."""
    if missing := [name for name in ("pg_restore", "psql") if not shutil.which(name)]:
        raise OperatorError(f"This backup needs {' and '.join(missing)}: {INSTALL_HINT}.")
    process = subprocess.run(["pg_restore", "--list", str(dump)], capture_output=True, check=False)  # noqa: S607
    if process.returncode:
        raise OperatorError(f"pg_restore cannot read this backup: {error_line(process.stderr)}. {UPDATE_HINT}")


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
    with Program(["pg_restore", "--file=-", str(dump)], stdout=subprocess.PIPE) as script:
        for line in script.stdout:
            if match := COPY_STATEMENT.match(line):
                name = (match["quoted"] or match["plain"]).decode().replace('""', '"')
                counts[name] = sum(1 for _ in takewhile(END_OF_COPY.__ne__, script.stdout))
        if error := script.error():
            raise OperatorError(f"pg_restore cannot read the dump: {error}")
    return counts


def _escape_quotes(name: str) -> str:
    return name.replace('"', '""')
