"""The migrations that a database has, against those of the code."""

from collections.abc import Sequence
from typing import Any

from opportune.db.migrations.graph import MigrationGraph
from opportune.ops.doctor.results import Finding, fault, notice, ok
from opportune.runtime.counts import counted

MAX_SHOWN_NAMES = 3
"""Names of migrations in one line."""


def compare(graph: MigrationGraph, rows: Sequence[str]) -> Finding:
    """What to say of a database whose version table holds these rows."""
    unknown, pending = graph.unknown(rows), [str(migration) for migration in graph.pending(rows)]
    values: dict[str, Any] = {
        "applied": len(graph.applied(rows)),
        "pending": pending,
        "newer": list(unknown.newer),
        "removed": list(unknown.removed),
    }
    if unknown.newer:
        words = f"the database has {_some(unknown.newer)}, which this code lacks"
        return fault("migrations", words, "Run the version that made them, or put their files back.", **values)
    if pending:
        words = f"{counted(len(pending), 'migration')} not applied: {_some(pending)}"
        return fault("migrations", words, "Run: python3 oppman.py migrate", **values)
    if unknown.removed:
        words = f"all applied; {_some(unknown.removed)} belong to features that are not installed"
        return notice("migrations", words, **values)
    return ok("migrations", f"all {values['applied']} applied", **values)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN_NAMES} more" if len(names) > MAX_SHOWN_NAMES else ""
    return ", ".join(names[:MAX_SHOWN_NAMES]) + more
