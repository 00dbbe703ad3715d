"""Databases under examination, and findings about them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from opportune.config.settings import Settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseUrl
from opportune.plurals import list_first, pluralize
from opportune.project.current import OPPMAN

MAX_SHOWN_NAMES = 3


class Role(Enum):
    """Purpose of a database URL. The value is its setting."""

    WRITER = "DATABASE_URL"
    READER = "DATABASE_READER_URL"
    DIRECT = "DATABASE_DIRECT_URL"


class DoctorContext(NamedTuple):
    """Site whose databases are examined."""

    settings: Settings
    features: Sequence[str]
    """Names of the installed features, whose migrations the database should have."""
    processes: int = 1
    """Number of processes that serve the site."""
    name: str = Role.WRITER.value
    """Name of DATABASE_URL in the report."""

    def graph(self) -> MigrationGraph:
        return MigrationGraph(self.features)


class ServerContext(NamedTuple):
    """Open connection to a PostgreSQL server."""

    url: DatabaseUrl
    role: Role
    engine: AsyncEngine
    connection: AsyncConnection
    doctor: DoctorContext

    async def row(self, query: str) -> Row[Any]:
        """Return the only row of a query. The caller ends the transaction."""
        return (await self.connection.execute(text(query))).one()

    async def driver(self) -> Any:
        """Return psycopg's connection."""
        return (await self.connection.get_raw_connection()).driver_connection


class Status(StrEnum):
    OK = "ok"
    NOTICE = "notice"
    """Worth knowing, but may be intended."""
    FAULT = "fault"
    """The site does not work, or will soon stop working."""


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis. `values` are the JSON values behind the text."""

    check: str
    status: Status
    text: str
    fix: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


class Diagnosis(NamedTuple):
    """Findings about one database. `url.name` is the setting of its URL."""

    url: DatabaseUrl
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.status == Status.FAULT]


def ok(check: str, text: str, **values: Any) -> Finding:
    return Finding(check, Status.OK, text, values=values)


def notice(check: str, text: str, fix: str = "", **values: Any) -> Finding:
    return Finding(check, Status.NOTICE, text, fix, values)


def fault(check: str, text: str, fix: str, **values: Any) -> Finding:
    return Finding(check, Status.FAULT, text, fix, values)


def fault_from_message(check: str, message: str) -> Finding:
    """Split a message of `opportune.db.errors.explain` into cause and fix."""
    for delimiter in (". ", ": "):
        cause, separator, fix = message.partition(delimiter)
        if separator:
            return fault(check, f"{cause}.", fix[:1].upper() + fix[1:])
    return fault(check, message, "Check DATABASE_URL.")


def milliseconds_since(start: float) -> float:
    """Return the time since a `time.perf_counter()`."""
    return round((time.perf_counter() - start) * 1000, 1)


def compare_migrations(graph: MigrationGraph, revisions: Sequence[str]) -> Finding:
    """Compare the revisions in the database with the code's migrations."""
    newer = graph.newer_revisions(revisions)
    removed = graph.removed_revisions(revisions)
    pending = [str(migration) for migration in graph.pending(revisions)]
    values: dict[str, Any] = {
        "applied": len(graph.applied(revisions)),
        "pending": pending,
        "newer": list(newer),
        "removed": list(removed),
    }
    if newer:
        message = f"the database has {list_first(newer, MAX_SHOWN_NAMES)}, which this code lacks"
        return fault("migrations", message, "Deploy the code that applied them, or restore their files.", **values)
    if pending:
        message = f"{pluralize(len(pending), 'migration')} not applied: {list_first(pending, MAX_SHOWN_NAMES)}"
        return fault("migrations", message, f"Run: {OPPMAN} migrate", **values)
    if removed:
        message = f"all applied; {list_first(removed, MAX_SHOWN_NAMES)} belong to features that are not installed"
        return notice("migrations", message, **values)
    return ok("migrations", f"all {values['applied']} applied", **values)
