"""Applying migrations and taking them back, each whole or not at all."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Literal

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import load_python_file
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from opportune.db.errors import is_full
from opportune.db.migrations.connection import take_lock
from opportune.db.migrations.expressions import kept
from opportune.db.migrations.graph import Migration, Tree
from opportune.db.migrations.history import record, recorded
from opportune.db.migrations.options import OPTIONS
from opportune.errors import OperatorError

# `alembic.op`, which migrations use, is one for the whole process.
_op = threading.Lock()


@dataclass(frozen=True)
class Step:
    """One migration in one direction."""

    migration: Migration
    direction: Literal["upgrade", "downgrade"]


Plan = Callable[[Sequence[Migration]], list[Step]]
"""What is left to do, given the migrations that are applied."""

Announce = Callable[[Step], AbstractContextManager[None]]


def plan_for(tree: Tree, feature: str | None = None, target: str | None = None) -> Plan:
    """Apply everything, or one feature and what it needs, or bring it forward or back to a target.

    Raises:
        OperatorError: no such feature or migration, or a feature with two last migrations.
    """
    features = [feature] if feature else tree.features
    newest = [migration for name in features if (migration := tree.newest(name))]
    if feature and target == "zero":
        return lambda applied: _back(tree, applied, feature, keep=[])
    if feature and target:
        newest = [tree.find(feature, target)]
    wanted = _needed(tree, newest)

    def plan(applied: Sequence[Migration]) -> list[Step]:
        if feature and target and newest[0] in applied:
            return _back(tree, applied, feature, keep=wanted)
        return [Step(migration, "upgrade") for migration in wanted if migration not in applied]

    return plan


def run(connection: Connection, tree: Tree, plan: Plan, announce: Announce = lambda _step: nullcontext()) -> int:
    """Take the steps of a plan, each in a transaction of its own, and return how many were taken here.

    Another process may be doing the same: what is left is asked again under the lock, before each step.

    Raises:
        OperatorError: a step failed; everything before it holds.
    """
    rows = recorded(connection)
    connection.rollback()
    refuse_newer(tree, rows)
    if not plan(tree.applied(rows)):
        return 0  # without a lock, which a read-only database would not give
    connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    taken = 0
    while _take_next(connection, tree, plan, announce):
        taken += 1
    return taken


def run_within(connection: Connection, tree: Tree, plan: Plan) -> None:
    """Take the steps of a plan as a part of the transaction that the connection is in: all of them hold, or none.

    Raises:
        OperatorError: a step failed.
    """
    while _take_next(connection, tree, plan, lambda _step: nullcontext()):
        pass


def refuse_newer(tree: Tree, rows: Sequence[str]) -> None:
    """Stop before an old version of the code harms a database that a newer one has migrated.

    Raises:
        OperatorError: the database is newer.
    """
    if newer := tree.unknown(rows).newer:
        raise OperatorError(
            f"The database has migrations that this code lacks ({', '.join(newer)}): run the version that made them, "
            "or put their files back."
        )


def _take_next(connection: Connection, tree: Tree, plan: Plan, announce: Announce) -> bool:
    context = MigrationContext.configure(connection, opts=OPTIONS)
    with ExitStack() as announced:  # ends after the commit
        with _op, context.begin_transaction(), Operations.context(context):
            take_lock(connection)
            applied = tree.applied(recorded(connection))
            steps = plan(applied)
            if not steps:
                return False
            announced.enter_context(announce(steps[0]))
            _take(connection, tree, applied, steps[0])
        return True


def _take(connection: Connection, tree: Tree, applied: Sequence[Migration], step: Step) -> None:
    migration = step.migration
    others = [other for other in applied if other != migration]
    try:
        with kept(connection):
            getattr(load_python_file(migration.path.parent, migration.path.name), step.direction)()
        _refuse_dangling_rows(connection, migration)
        record(connection, tree, tree.rows([*others, migration] if step.direction == "upgrade" else others))
    except SQLAlchemyError as error:
        advice = ". Free some space, then run this again." if is_full(error) else ""
        raise OperatorError(f"{migration} failed and was undone: {_reason(error)}{advice}") from error


def _refuse_dangling_rows(connection: Connection, migration: Migration) -> None:
    """SQLite's foreign keys are off while it migrates."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken:
        raise OperatorError(
            f"{migration} was undone: it would leave rows of {broken[0]} that point at missing rows of {broken[2]}."
        )


def _reason(error: SQLAlchemyError) -> str:
    # The driver's first line: those after it may quote a row.
    words = str(error.orig if isinstance(error, DBAPIError) else error)
    return next(iter(words.splitlines()), type(error).__name__)


def _needed(tree: Tree, migrations: Sequence[Migration]) -> list[Migration]:
    needed = {ancestor for migration in migrations for ancestor in tree.needed_by(migration)}
    return [migration for migration in tree.ordered if migration in needed]


def _back(tree: Tree, applied: Sequence[Migration], feature: str, keep: Sequence[Migration]) -> list[Step]:
    """Take back what the feature has beyond `keep`, after everything that needs it."""
    undone = {migration for migration in applied if migration.feature == feature and migration not in keep}
    undone |= {migration for migration in applied if undone.intersection(tree.needed_by(migration))}
    return [Step(migration, "downgrade") for migration in reversed(tree.ordered) if migration in undone]
