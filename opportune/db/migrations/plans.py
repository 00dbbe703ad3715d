"""Plans: which migrations to apply or revert, and in which order."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.migration_file import Migration
from opportune.errors import OperatorError


@dataclass(frozen=True)
class Step:
    """Migration to apply or revert."""

    migration: Migration
    direction: Literal["upgrade", "downgrade"]
    is_faked: bool = False
    """Record the migration without running it."""


Plan = Callable[[Sequence[Migration]], list[Step]]
"""Return the remaining steps for a list of applied migrations."""


def plan_migrations(graph: MigrationGraph, feature: str | None = None, target: str | None = None) -> Plan:
    """Return a plan that applies all migrations, those of a feature, or those up to or back to a target."""
    features = graph.features if feature is None else [feature]
    newest = [migration for name in features if (migration := graph.newest(name))]
    if feature and target == "zero":
        return lambda applied: _revert(graph, applied, feature, keep=[])
    if feature and target:
        newest = [graph.find(feature, target)]
    ancestors = {ancestor for migration in newest for ancestor in graph.needed_by(migration)}
    needed = [migration for migration in graph.ordered if migration in ancestors]

    def plan(applied: Sequence[Migration]) -> list[Step]:
        if feature and target and newest[0] in applied:
            return _revert(graph, applied, feature, keep=needed)
        done = set(applied)
        return [Step(migration, "upgrade") for migration in needed if migration not in done]

    return plan


def fake_steps(plan: Plan, migrations: Collection[Migration] | None) -> Plan:
    """Return a plan that records these migrations, or all, without running them."""
    return lambda applied: [
        replace(step, is_faked=migrations is None or step.migration in migrations) for step in plan(applied)
    ]


def refuse_newer(graph: MigrationGraph, rows: Sequence[str]) -> None:
    """Refuse a database that newer code has migrated."""
    newer = graph.newer_revisions(rows)
    if not newer:
        return
    names = ", ".join(newer)
    for migration in graph.ordered:
        if not set(newer).isdisjoint(migration.replaces):
            raise OperatorError(
                f"The database has applied only some migrations that {migration} replaces ({names}). First run "
                "`migrate` with the code from before it was squashed."
            )
    raise OperatorError(
        f"The database has migrations that this code lacks ({names}). Run the version that created them, or restore "
        "their files."
    )


def _revert(graph: MigrationGraph, applied: Sequence[Migration], feature: str, keep: Sequence[Migration]) -> list[Step]:
    """Return the steps that revert a feature's migrations except `keep`. Dependent migrations are reverted first."""
    reverted = {migration for migration in applied if migration.feature == feature and migration not in keep}
    reverted |= {migration for migration in applied if reverted.intersection(graph.needed_by(migration))}
    return [Step(migration, "downgrade") for migration in reversed(graph.ordered) if migration in reverted]
