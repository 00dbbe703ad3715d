"""Whether a database is as `migrate` has left it, told without importing features, models or Alembic.

Those take longer than all the rest. What is made after migrations (indexes for search, groups) depends on the code and
on what it asks the database. So its questions are kept with a hash of the answers: the same code with the same answers
has nothing to do again.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError

from opportune.db.drivers.sync_engines import postgresql_engine, sqlite_engine
from opportune.db.migrations.connection import migration_url
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import recorded_revisions
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.project import FRAMEWORK, PACKAGE, PROJECT
from opportune.settings import Settings

MEMORY = PROJECT / PACKAGE / "__pycache__" / "migrated.json"
"""Beside what Python has compiled: as that, it may go at any time."""


def unchanged_graph(settings: Settings) -> MigrationGraph | None:
    """The migrations, if all of them are applied and nothing else is to be done; None where that is not known."""
    try:
        memory = json.loads(MEMORY.read_text(encoding="utf-8"))
        url = migration_url(settings)
        if memory["code"] != fingerprint() or url.written_never or (url.kind == "sqlite" and not url.path.exists()):
            return None
        graph = MigrationGraph(memory["features"])
        with _engine(url).connect() as connection:
            rows = recorded_revisions(connection)
            is_known = not (graph.pending(rows) or any(graph.unknown(rows).__dict__.values()))
            return graph if is_known and answers(connection, memory["questions"]) == memory["answers"] else None
    except (OSError, ValueError, LookupError, TypeError, SQLAlchemyError, OperatorError):
        return None  # whatever it is, `migrate` itself will tell


def remember(connection: Connection, graph: MigrationGraph, ask: Callable[[Connection], object]) -> None:
    """Keep what is asked on a new connection, and the answers, when there is nothing to do."""
    questions: list[list[Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            questions.append([statement, parameters])

    event.listen(connection, "before_cursor_execute", note)
    try:
        has_to_do = bool(ask(connection))
    finally:
        event.remove(connection, "before_cursor_execute", note)
    if has_to_do:
        return
    memory = {
        "code": fingerprint(),
        "features": graph.features,
        "questions": questions,
        "answers": answers(connection, questions),
    }
    try:
        MEMORY.parent.mkdir(exist_ok=True)
        MEMORY.write_text(json.dumps(memory), encoding="utf-8")
    except (OSError, TypeError):  # read-only, or a question that JSON has no words for
        with suppress(OSError):
            MEMORY.unlink(missing_ok=True)


def answers(connection: Connection, questions: list[list[Any]]) -> str:
    """A hash of what a database says to these questions."""
    found = hashlib.sha256()
    for statement, parameters in questions:
        given = tuple(parameters) if isinstance(parameters, list) else parameters
        rows = connection.exec_driver_sql(statement, given or None).fetchall()
        found.update(repr(sorted(map(repr, rows))).encode())
    return found.hexdigest()


def fingerprint() -> str:
    """What tells the code from other code: each file's time and size, as Python itself does it."""
    found = hashlib.sha256(f"{sys.version} {sqlalchemy.__version__}".encode())
    for folder in (FRAMEWORK, PROJECT / PACKAGE):
        for line in sorted(_files(str(folder))):
            found.update(line.encode())
    return found.hexdigest()


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                about = entry.stat()
                yield f"{entry.path} {about.st_mtime_ns} {about.st_size}\n"
            elif entry.is_dir() and entry.name not in ("__pycache__", "static", "templates"):
                yield from _files(entry.path)


def _engine(url: DatabaseURL) -> Engine:
    if url.kind == "postgresql":
        return postgresql_engine(url)
    return sqlite_engine(url.sync_url, connect_args={"isolation_level": None})
