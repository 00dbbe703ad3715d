"""Restores of dumps into PostgreSQL: pg_restore writes their SQL, and psql runs it in one transaction."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, LiteralString

from psycopg import sql
from sqlalchemy import inspect, text

from opportune.config.settings import Settings
from opportune.contrib.backup.archive import CHUNK_BYTES, Manifest
from opportune.contrib.backup.pg_dump import SEQUENCES
from opportune.contrib.backup.pg_programs import Program, build_connection_string
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import VERSION_TABLE
from opportune.db.migrations.locks import ADVISORY_LOCK_ID, TABLE_LOCK_TIMEOUT_SECONDS
from opportune.db.migrations.ownership import find_other_tables, find_site_tables, read_applied_owners
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError

SETTING = re.compile(rb"^SET ")
FIRST_OBJECT = (b"CREATE ", b"COPY ", b"ALTER ")
"""Begins of the first statement after the settings. The rest of a dump is copied unread."""
DEPENDENT_OBJECTS = "2BP01"
"""Code of the error that other objects depend on a dropped table."""


def find_unowned_tables(settings: Settings, graph: MigrationGraph, manifest: Manifest) -> list[str]:
    """Return the tables of the configured database that a restore would replace, although no feature owns them."""
    with connect(settings) as connection:
        others = find_other_tables(connection, read_applied_owners(connection, graph))
    return [name for name in others if name in manifest.tables]


def restore(settings: Settings, graph: MigrationGraph, manifest: Manifest, dump: Path) -> None:
    """Replace the tables of the configured database with those of a dump. A failure rolls everything back."""
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
    psql_command += ["--set=VERBOSITY=verbose", "--dbname", build_connection_string(settings)]  # with codes of errors
    environ = {**os.environ, **direct_url(settings).environ}
    with (
        Program(read_command, stdout=subprocess.PIPE) as script,
        Program(psql_command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environ) as client,
    ):
        with client.stdin() as statements:
            statements.write(_first_statements(namespace, tables, sequences))
            copy_script(script.stdout, statements)
            if script.succeeds():  # without the COMMIT everything is rolled back
                statements.write(_final_statements(manifest))
        error = client.error() or script.error()
    if error:
        is_used = error.startswith(DEPENDENT_OBJECTS)
        hint = ". First drop views and foreign keys that depend on this site's tables." if is_used else ""
        raise OperatorError(f"The restore failed and nothing was changed: {error}{hint}")


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


def _final_statements(manifest: Manifest) -> bytes:
    """Return statements that roll back if the migrations differ from the manifest, and commit otherwise."""
    check = sql.SQL(
        'DO $$ BEGIN IF (SELECT array_agg(version_num::text ORDER BY version_num COLLATE "C") FROM {}) '
        "IS DISTINCT FROM {}::text[] THEN "
        "RAISE EXCEPTION 'its migrations differ from its manifest'; END IF; END $$"
    ).format(sql.Identifier(manifest.namespace, VERSION_TABLE.name), sorted(manifest.revisions))
    return _render_statements([check, sql.SQL("COMMIT")])


def _render_statements(statements: Sequence[sql.Composable]) -> bytes:
    return "".join(f"{statement.as_string()};\n" for statement in statements).encode()


def copy_script(script: IO[bytes], statements: IO[bytes]) -> None:
    """Copy a script with `SET` as `SET LOCAL`: a pooler would give session settings to other clients."""
    for line in script:
        if not line.startswith(b"SET transaction_timeout"):  # of newer programs; servers before 17 do not support it
            local = SETTING.sub(rb"SET LOCAL ", line)
            statements.write(local.replace(b"'search_path', '', false", b"'search_path', '', true"))
        if line.startswith(FIRST_OBJECT):
            break
    shutil.copyfileobj(script, statements, CHUNK_BYTES)
