"""Applies and reverts migrations, each in a transaction."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import load_python_file
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from opportune.db.errors import is_full
from opportune.db.migrations import lock_retries
from opportune.db.migrations.batches import AppliedElsewhereError, find_step_before_batches, forget_position
from opportune.db.migrations.connection import acquire_migration_lock, separate_migration_lock, set_table_lock_timeout
from opportune.db.migrations.conversion import ConversionError
from opportune.db.migrations.duplicates import TABLE_COPY, DuplicatesError, refuse_duplicates
from opportune.db.migrations.graph import Migration, MigrationGraph
from opportune.db.migrations.history import read_revisions, record_revisions
from opportune.db.migrations.lock_retries import TableLockedError, is_locked, retry_while_locked
from opportune.db.migrations.options import OPTIONS, STEP, TransactionalOperations, keep_transaction
from opportune.db.migrations.post_migrate import due_statements, run_due_statements
from opportune.db.migrations.recording import record
from opportune.db.migrations.reflection_warnings import ignore_reflection_warnings
from opportune.db.migrations.table_rebuilds import preserve_views_and_triggers
from opportune.errors import OperatorError
from opportune.progress import Progress, work
from opportune.project.layout import display_path, features_on_postgresql

FILL_COMMENT = "# FILL"
"""Comment in a migration where the owner sets values of rows."""

# `alembic.op`, which migrations use, is global.
_op_lock = threading.Lock()


@dataclass(frozen=True)
class Step:
    """Migration to apply or revert."""

    migration: Migration
    direction: Literal["upgrade", "downgrade"]
    is_faked: bool = False
    """Record the migration without running it."""


Plan = Callable[[Sequence[Migration]], list[Step]]
"""Return the remaining steps for a list of applied migrations."""

Announce = Callable[[Step], AbstractContextManager[None]]


def plan_migrations(graph: MigrationGraph, feature: str | None = None, target: str | None = None) -> Plan:
    """Return a plan that applies all migrations, those of a feature, or those up to or back to a target.

    Raises:
        OperatorError: The feature or migration does not exist, or a feature has two last migrations.
    """
    features = [feature] if feature else graph.features
    newest = [migration for name in features if (migration := graph.newest(name))]
    if feature and target == "zero":
        return lambda applied: _revert(graph, applied, feature, keep=[])
    if feature and target:
        newest = [graph.find(feature, target)]
    needed = _with_ancestors(graph, newest)

    def plan(applied: Sequence[Migration]) -> list[Step]:
        if feature and target and newest[0] in applied:
            return _revert(graph, applied, feature, keep=needed)
        return [Step(migration, "upgrade") for migration in needed if migration not in applied]

    return plan


def fake_steps(plan: Plan, migrations: Collection[Migration] | None = None) -> Plan:
    """Return a plan that records these migrations, or all, without running them."""
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
    """Run the steps of a plan, each in a separate transaction.

    The plan is computed again under the lock before each step, because another process may run the same steps.

    Args:
        connection: Connection without an open transaction.
        graph: All migrations.
        plan: Steps to run.
        announce: Context manager around each step, for output.
        derive: Also run the statements of `Data(post_migrate=…)`, such as those for search indexes.

    Returns:
        Number of steps that this process has run.

    Raises:
        OperatorError: A step failed. Previous steps stay applied.
    """
    refuse_other_database(connection, graph.features)
    rows = read_revisions(connection)
    connection.rollback()
    refuse_newer(graph, rows)
    count = 0
    if steps := plan(graph.applied(rows)):  # otherwise no lock is taken, so a read-only database works
        connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        is_atomic = connection.dialect.name == "sqlite" or all(step.migration.is_atomic for step in steps)
        lock = acquire_migration_lock if is_atomic else set_table_lock_timeout
        try:
            separate_lock = nullcontext() if is_atomic else separate_migration_lock(connection)
            with separate_lock, work("Migrating", len(steps), "migrations") as progress:
                while _run_next(connection, graph, plan, _with_progress(announce, progress), lock):
                    count += 1
        except OperatorError:
            if derive:
                with suppress(OperatorError, SQLAlchemyError):  # for the applied steps
                    _run_post_migrate(connection)
            raise
    if derive:
        _run_post_migrate(connection)
    return count


def _with_progress(announce: Announce, progress: Progress) -> Announce:
    @contextmanager
    def announce_and_count(step: Step) -> Iterator[None]:
        progress.describe(f"Migrating {step.migration}")
        with announce(step):
            yield
        progress.advance()

    return announce_and_count


def run_migrations_within(connection: Connection, graph: MigrationGraph, plan: Plan) -> None:
    """Run the steps of a plan in the current transaction, so that all or none are applied.

    Raises:
        OperatorError: A step failed, or a feature needs PostgreSQL.
    """
    refuse_other_database(connection, graph.features)
    while _run_attempt(connection, graph, plan, lambda _step: None, acquire_migration_lock, is_within=True):
        pass
    run_due_statements(connection)


def _run_post_migrate(connection: Connection) -> None:
    statements = due_statements(connection)
    connection.rollback()
    if not statements:
        return
    connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    try:
        with connection.begin():
            acquire_migration_lock(connection)
            run_due_statements(connection)
    except SQLAlchemyError as error:
        raise OperatorError(f"Search indexes or groups could not be created: {_first_line(error)}.") from error


def refuse_other_database(connection: Connection, features: Collection[str]) -> None:
    """Refuse features that need PostgreSQL on another database.

    Raises:
        OperatorError: A feature needs PostgreSQL.
    """
    if connection.dialect.name != "postgresql" and (names := features_on_postgresql(features)):
        raise OperatorError(
            f"The tables of {', '.join(names)} need PostgreSQL. Set DATABASE_URL to a PostgreSQL database."
        )


def refuse_newer(graph: MigrationGraph, rows: Sequence[str]) -> None:
    """Refuse a database that newer code has migrated.

    Raises:
        OperatorError: The database is newer.
    """
    if newer := graph.unknown(rows).newer:
        if squashed := next((other for other in graph.ordered if set(newer) & set(other.replaces)), None):
            raise OperatorError(
                f"The database has applied only some migrations that {squashed} replaces ({', '.join(newer)}). First "
                "run `migrate` with the code from before it was squashed."
            )
        raise OperatorError(
            f"The database has migrations that this code lacks ({', '.join(newer)}). Run the version that created "
            "them, or restore their files."
        )


def _run_next(
    connection: Connection, graph: MigrationGraph, plan: Plan, announce: Announce, lock: Callable[[Connection], None]
) -> bool:
    """Run the next step, if there is one. Repeat it while other transactions hold a lock on its tables."""

    def lock_briefly(connection: Connection) -> None:
        lock(connection)
        set_table_lock_timeout(connection, lock_retries.ATTEMPT_SECONDS)

    with ExitStack() as announcement:  # ends after the commit
        announce_once = cache(lambda step: announcement.enter_context(announce(step)))
        return retry_while_locked(lambda: _run_attempt(connection, graph, plan, announce_once, lock_briefly))


def _run_attempt(
    connection: Connection,
    graph: MigrationGraph,
    plan: Plan,
    announce: Callable[[Step], None],
    lock: Callable[[Connection], None],
    *,
    is_within: bool = False,
) -> bool:
    context = MigrationContext.configure(connection, opts=dict(OPTIONS))
    if is_within or connection.dialect.name == "sqlite":
        keep_transaction(context)
    with _op_lock, _transaction(context, connection, is_within=is_within), Operations.context(context):
        lock(connection)
        steps = plan(graph.applied(read_revisions(connection)))
        if not steps:
            return False
        announce(steps[0])
        if not is_within:
            context.opts[STEP] = f"{steps[0].direction} {steps[0].migration.revision}"
        _run_step(connection, graph, steps[0], TransactionalOperations(context) if is_within else None)
    return True


@contextmanager
def _transaction(context: MigrationContext, connection: Connection, *, is_within: bool) -> Iterator[None]:
    """Commit or roll back the transaction of the block, also if the migration has committed and begun another one."""
    try:
        with context.begin_transaction():
            yield
            if not is_within:
                connection.commit()
    except BaseException as error:
        if not is_within:
            connection.rollback()
        if not isinstance(error, AppliedElsewhereError):
            raise


def _run_step(connection: Connection, graph: MigrationGraph, step: Step, op: Operations | None) -> None:
    migration = step.migration
    if not migration.is_atomic:
        _require_batches_first(step, connection.dialect.name)
    try:
        if not step.is_faked:
            module: Any = load_python_file(migration.path.parent, migration.path.name)
            if op:
                module.op = op
            with ignore_reflection_warnings(), preserve_views_and_triggers(connection), refuse_duplicates(connection):
                getattr(module, step.direction)()
        _refuse_dangling_rows(connection, migration)
        if not migration.is_atomic:
            forget_position(connection, f"{step.direction} {migration.revision}")
        others = [other for other in graph.applied(read_revisions(connection)) if other != migration]
        record_revisions(connection, graph, graph.rows([*others, migration] if step.direction == "upgrade" else others))
    except ConversionError as error:
        raise OperatorError(f"{migration} was undone: {error}. {_fill_advice(migration)}") from error
    except DuplicatesError as error:
        raise OperatorError(
            f"{migration} {_failure_text(migration)}: {error}. Change or delete these rows, then run this again."
        ) from error
    except SQLAlchemyError as error:
        if is_locked(error):
            effect = "was undone" if migration.is_atomic else "failed halfway"
            raise TableLockedError(
                f"{migration} {effect}: other transactions use its tables. Run this again at a quieter time."
            ) from error
        raise OperatorError(
            f"{migration} {_failure_text(migration)}: {_first_line(error)}{_advice(error, migration)}"
        ) from error


def _failure_text(migration: Migration) -> str:
    return "failed and was undone" if migration.is_atomic else "failed halfway. Fix the cause, and run this again"


def _require_batches_first(step: Step, dialect_name: str) -> None:
    """Refuse a migration with a step that a second attempt would repeat."""
    if find_step_before_batches(record(step.migration, step.direction, dialect_name)):
        raise OperatorError(
            f"{step.migration} has other steps before in_batches. If it were stopped, they would run twice. "
            "Move them to an earlier migration."
        )


def _refuse_dangling_rows(connection: Connection, migration: Migration) -> None:
    """Check foreign keys, which SQLite does not enforce while it migrates."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken:
        raise OperatorError(f"{migration} was undone: rows of {broken[0]} would reference missing rows of {broken[2]}.")


def _advice(error: SQLAlchemyError, migration: Migration) -> str:
    if is_full(error):
        return ". Free some space, then run this again."
    if isinstance(error, IntegrityError) and FILL_COMMENT in migration.path.read_text(encoding="utf-8"):
        return f". {_fill_advice(migration)}"
    return ""


def _fill_advice(migration: Migration) -> str:
    return f"Set the value for existing rows at FILL in {display_path(migration.path)}."


def _first_line(error: SQLAlchemyError) -> str:
    # Only the first line: the others may quote a row.
    message = str(error.orig if isinstance(error, DBAPIError) else error)
    return next(iter(message.splitlines()), type(error).__name__).replace(TABLE_COPY, "")


def _with_ancestors(graph: MigrationGraph, migrations: Sequence[Migration]) -> list[Migration]:
    ancestors = {ancestor for migration in migrations for ancestor in graph.needed_by(migration)}
    return [migration for migration in graph.ordered if migration in ancestors]


def _revert(graph: MigrationGraph, applied: Sequence[Migration], feature: str, keep: Sequence[Migration]) -> list[Step]:
    """Return the steps that revert a feature's migrations except `keep`. Dependent migrations are reverted first."""
    reverted = {migration for migration in applied if migration.feature == feature and migration not in keep}
    reverted |= {migration for migration in applied if reverted.intersection(graph.needed_by(migration))}
    return [Step(migration, "downgrade") for migration in reversed(graph.ordered) if migration in reverted]
