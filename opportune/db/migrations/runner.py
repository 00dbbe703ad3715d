"""Applying migrations and taking them back, each whole or not at all."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import load_python_file
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from opportune.config.project import display_path, features_on_postgresql
from opportune.db.errors import is_full
from opportune.db.migrations.connection import (
    acquire_migration_lock,
    migration_lock_beside,
    set_table_lock_timeout,
)
from opportune.db.migrations.duplicates import TABLE_COPY, DuplicatesError, refuse_duplicates
from opportune.db.migrations.expression_indexes import preserve_expression_indexes
from opportune.db.migrations.graph import Migration, MigrationGraph
from opportune.db.migrations.history import record_revisions, recorded_revisions
from opportune.db.migrations.options import OPTIONS, WithinTransaction, keep_transaction
from opportune.db.migrations.post_migrate import bring_in_line, due
from opportune.db.migrations.table_rebuilds import preserve_views_and_triggers
from opportune.db.migrations.value_conversion import ConversionError
from opportune.errors import OperatorError
from opportune.runtime.progress import Progress, work

UNFILLED = "# FILL"
"""Stands in a migration that makemigrations has left a place in, for what rows get."""

# `alembic.op`, which migrations use, is one for the whole process.
_op = threading.Lock()


@dataclass(frozen=True)
class Step:
    """One migration in one direction."""

    migration: Migration
    direction: Literal["upgrade", "downgrade"]
    is_faked: bool = False
    """Whether it is only recorded, since somebody has done already what it does."""


Plan = Callable[[Sequence[Migration]], list[Step]]
"""What is left to do, given the migrations that are applied."""

Announce = Callable[[Step], AbstractContextManager[None]]


def plan_for(graph: MigrationGraph, feature: str | None = None, target: str | None = None) -> Plan:
    """Apply everything, or one feature and what it needs, or bring it forward or back to a target.

    Raises:
        OperatorError: no such feature or migration, or a feature with two last migrations.
    """
    features = [feature] if feature else graph.features
    newest = [migration for name in features if (migration := graph.newest(name))]
    if feature and target == "zero":
        return lambda applied: _back(graph, applied, feature, keep=[])
    if feature and target:
        newest = [graph.find(feature, target)]
    wanted = _needed(graph, newest)

    def plan(applied: Sequence[Migration]) -> list[Step]:
        if feature and target and newest[0] in applied:
            return _back(graph, applied, feature, keep=wanted)
        return [Step(migration, "upgrade") for migration in wanted if migration not in applied]

    return plan


def faking(plan: Plan, migrations: Collection[Migration] | None = None) -> Plan:
    """The same steps, but these, or all of them, are only recorded."""
    return lambda applied: [
        replace(step, is_faked=migrations is None or step.migration in migrations) for step in plan(applied)
    ]


def run_migrations(
    connection: Connection,
    graph: MigrationGraph,
    plan: Plan,
    announce: Announce = lambda _step: nullcontext(),
    *,
    derive: bool = True,
) -> int:
    """Take the steps of a plan, each in a transaction of its own, and return how many were taken here.

    Another process may be doing the same: what is left is asked again under the lock, before each step. Without
    `derive` what follows from the code, such as indexes for search, is left as it is.

    Raises:
        OperatorError: a step failed; everything before it holds.
    """
    refuse_other_database(connection, graph.features)
    rows = recorded_revisions(connection)
    connection.rollback()
    refuse_newer(graph, rows)
    taken = 0
    if steps := plan(graph.applied(rows)):  # else without a lock, which a read-only database would not give
        connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        is_atomic = connection.dialect.name == "sqlite" or all(step.migration.is_atomic for step in steps)
        lock = acquire_migration_lock if is_atomic else set_table_lock_timeout
        try:
            beside = nullcontext() if is_atomic else migration_lock_beside(connection)
            with beside, work("Migrating", len(steps), "migrations") as progress:
                while _take_next(connection, graph, plan, _watched(announce, progress), lock):
                    taken += 1
        except OperatorError:
            if derive:
                with suppress(OperatorError, SQLAlchemyError):  # for the steps that hold
                    _derive(connection)
            raise
    if derive:
        _derive(connection)
    return taken


def _watched(announce: Announce, progress: Progress) -> Announce:
    @contextmanager
    def announced(step: Step) -> Iterator[None]:
        progress.describe(f"Migrating {step.migration}")
        with announce(step):
            yield
        progress.advance()

    return announced


def run_migrations_within(connection: Connection, graph: MigrationGraph, plan: Plan) -> None:
    """Take the steps of a plan as a part of the transaction that the connection is in: all of them hold, or none.

    Raises:
        OperatorError: a step failed.
    """
    while _take_next(connection, graph, plan, lambda _step: nullcontext(), acquire_migration_lock, is_within=True):
        pass
    bring_in_line(connection)


def _derive(connection: Connection) -> None:
    """Make what follows from the code, such as indexes for search, where it is not there or not as it should be."""
    statements = due(connection)
    connection.rollback()
    if not statements:
        return
    connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    try:
        with connection.begin():
            acquire_migration_lock(connection)
            bring_in_line(connection)
    except SQLAlchemyError as error:
        raise OperatorError(f"Indexes for search, or groups, could not be made: {_reason(error)}.") from error


def refuse_other_database(connection: Connection, features: Collection[str]) -> None:
    """Stop before a table is created that this kind of database cannot hold.

    Raises:
        OperatorError: a feature needs another kind of database.
    """
    if connection.dialect.name != "postgresql" and (names := features_on_postgresql(features)):
        raise OperatorError(
            f"The tables of {', '.join(names)} need PostgreSQL: set DATABASE_URL to a PostgreSQL database."
        )


def refuse_newer(graph: MigrationGraph, rows: Sequence[str]) -> None:
    """Stop before an old version of the code harms a database that a newer one has migrated.

    Raises:
        OperatorError: the database is newer.
    """
    if newer := graph.unknown(rows).newer:
        if squashed := next((each for each in graph.ordered if set(newer) & set(each.replaces)), None):
            raise OperatorError(
                f"The database has only a part of what {squashed} stands for ({', '.join(newer)}): run `migrate` with "
                "the code from before it was squashed, then this."
            )
        raise OperatorError(
            f"The database has migrations that this code lacks ({', '.join(newer)}): run the version that made them, "
            "or put their files back."
        )


def _take_next(
    connection: Connection,
    graph: MigrationGraph,
    plan: Plan,
    announce: Announce,
    lock: Callable[[Connection], None],
    *,
    is_within: bool = False,
) -> bool:
    context = MigrationContext.configure(connection, opts=OPTIONS)
    if is_within or connection.dialect.name == "sqlite":
        keep_transaction(context)
    with ExitStack() as announced:  # ends after the commit
        with _op, context.begin_transaction(), Operations.context(context):
            lock(connection)
            applied = graph.applied(recorded_revisions(connection))
            steps = plan(applied)
            if not steps:
                return False
            announced.enter_context(announce(steps[0]))
            _take(connection, graph, applied, steps[0], WithinTransaction(context) if is_within else None)
        return True


def _take(
    connection: Connection, graph: MigrationGraph, applied: Sequence[Migration], step: Step, op: Operations | None
) -> None:
    migration = step.migration
    others = [other for other in applied if other != migration]
    try:
        if not step.is_faked:
            module: Any = load_python_file(migration.path.parent, migration.path.name)
            if op:
                module.op = op
            with (
                preserve_expression_indexes(connection),
                preserve_views_and_triggers(connection),
                refuse_duplicates(connection),
            ):
                getattr(module, step.direction)()
        _refuse_dangling_rows(connection, migration)
        record_revisions(connection, graph, graph.rows([*others, migration] if step.direction == "upgrade" else others))
    except ConversionError as error:
        raise OperatorError(f"{migration} was undone: {error}. {_fill(migration)}") from error
    except DuplicatesError as error:
        raise OperatorError(
            f"{migration} {_failure(migration)}: {error}. Change or delete these rows, then run this again."
        ) from error
    except SQLAlchemyError as error:
        raise OperatorError(
            f"{migration} {_failure(migration)}: {_reason(error)}{_advice(error, migration)}"
        ) from error


def _failure(migration: Migration) -> str:
    return "failed and was undone" if migration.is_atomic else "failed half-way: mend what is wrong, and run this again"


def _refuse_dangling_rows(connection: Connection, migration: Migration) -> None:
    """SQLite's foreign keys are off while it migrates."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken:
        raise OperatorError(
            f"{migration} was undone: it would leave rows of {broken[0]} that point at missing rows of {broken[2]}."
        )


def _advice(error: SQLAlchemyError, migration: Migration) -> str:
    if is_full(error):
        return ". Free some space, then run this again."
    if isinstance(error, IntegrityError) and UNFILLED in migration.path.read_text(encoding="utf-8"):
        return f". {_fill(migration)}"
    return ""


def _fill(migration: Migration) -> str:
    return f"Say in {display_path(migration.path)}, where it says FILL, what rows that exist get."


def _reason(error: SQLAlchemyError) -> str:
    # The driver's first line: those after it may quote a row.
    words = str(error.orig if isinstance(error, DBAPIError) else error)
    return next(iter(words.splitlines()), type(error).__name__).replace(TABLE_COPY, "")


def _needed(graph: MigrationGraph, migrations: Sequence[Migration]) -> list[Migration]:
    needed = {ancestor for migration in migrations for ancestor in graph.needed_by(migration)}
    return [migration for migration in graph.ordered if migration in needed]


def _back(graph: MigrationGraph, applied: Sequence[Migration], feature: str, keep: Sequence[Migration]) -> list[Step]:
    """Take back what the feature has beyond `keep`, after everything that needs it."""
    undone = {migration for migration in applied if migration.feature == feature and migration not in keep}
    undone |= {migration for migration in applied if undone.intersection(graph.needed_by(migration))}
    return [Step(migration, "downgrade") for migration in reversed(graph.ordered) if migration in undone]
