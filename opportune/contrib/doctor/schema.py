"""Comparison of a database's migrations with those of the code."""

from collections.abc import Sequence
from typing import Any

from opportune.contrib.doctor.results import Finding, fault, notice, ok
from opportune.db.migrations.graph import MigrationGraph
from opportune.plurals import list_first, pluralize

MAX_SHOWN_NAMES = 3


def compare_migrations(graph: MigrationGraph, revisions: Sequence[str]) -> Finding:
    """Compare the revisions in the database with the code's migrations."""
    unknown, pending = graph.unknown(revisions), [str(migration) for migration in graph.pending(revisions)]
    values: dict[str, Any] = {
        "applied": len(graph.applied(revisions)),
        "pending": pending,
        "newer": list(unknown.newer),
        "removed": list(unknown.removed),
    }
    if unknown.newer:
        message = f"the database has {list_first(unknown.newer, MAX_SHOWN_NAMES)}, which this code lacks"
        return fault("migrations", message, "Deploy the code that applied them, or restore their files.", **values)
    if pending:
        message = f"{pluralize(len(pending), 'migration')} not applied: {list_first(pending, MAX_SHOWN_NAMES)}"
        return fault("migrations", message, "Run: python3 oppman.py migrate", **values)
    if unknown.removed:
        message = (
            f"all applied; {list_first(unknown.removed, MAX_SHOWN_NAMES)} belong to features that are not installed"
        )
        return notice("migrations", message, **values)
    return ok("migrations", f"all {values['applied']} applied", **values)
