"""Applies and reverts migrations, each in a transaction."""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import load_python_file
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from opportune.db.errors import is_full
from opportune.db.migrations import locks
from opportune.db.migrations.batches import AppliedElsewhereError, find_step_before_batches, forget_position
from opportune.db.migrations.conversion import ConversionError
from opportune.db.migrations.duplicates import TABLE_COPY, DuplicatesError, refuse_duplicates
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions, record_revisions
from opportune.db.migrations.locks import TableLockedError, is_locked
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.options import OPTIONS, STEP, TransactionalOperations, keep_transaction
from opportune.db.migrations.plans import Plan, Step, plan_migrations, refuse_newer
from opportune.db.migrations.post_migrate import due_statements, run_due_statements
from opportune.db.migrations.recording import record
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.errors import OperatorError
from opportune.progress import Progress, work
from opportune.project.installed import features_on_postgresql
from opportune.project.layout import display_path

logger = logging.getLogger(__name__)
_op_lock = threading.Lock()
"""Guards `alembic.op`, which migrations use and which is global."""
WAITING = "Waiting until other processes free the database."
WAIT_NOTICE_SECONDS = 5.0
Announce = Callable[[Step], AbstractContextManager[None]]
FILL_COMMENT = "# FILL"
"""Comment in a migration where the owner sets values of rows."""
NO_DEFAULT = "Cannot add a NOT NULL column"
"""Beginning of SQLite's error for a required column of a table with rows."""


def run_migrations(
    connection: Connection,
    graph: MigrationGraph,
    plan: Plan | None = None,
    announce: Announce = lambda _step: nullcontext(),
    *,
    derive: bool = True,
) -> int:
    """Run the steps of a plan, each in a separate transaction.

    The plan is computed again under the lock before each step, because another process may run the same steps.

    Args:
        connection: Connection without an open transaction.
        announce: Context manager around each step, for output.
        derive: Also run the statements of `Data(post_migrate=…)`, such as those for search indexes.

    Returns:
        Number of steps that this process has run. If one fails, the previous ones stay applied.
    """
    plan = plan or plan_migrations(graph)
    refuse_other_database(connection, graph.features)
    rows = read_revisions(connection)
    connection.rollback()
    refuse_newer(graph, rows)
    count = 0
    if steps := plan(graph.applied(rows)):  # otherwise no lock is taken, so a read-only database works
        try:
            count = _run_steps(connection, graph, plan, steps, announce)
        except OperatorError:
            if derive:
                with suppress(OperatorError, SQLAlchemyError):  # for the applied steps
                    _run_post_migrate(connection)
            raise
    if derive:
        _run_post_migrate(connection)
    return count


def _run_steps(
    connection: Connection, graph: MigrationGraph, plan: Plan, steps: Sequence[Step], announce: Announce
) -> int:
    connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    is_atomic = connection.dialect.name == "sqlite" or all(step.migration.is_atomic for step in steps)
    run = _Run(connection, graph, plan, locks.acquire_migration_lock if is_atomic else locks.set_lock_timeout)
    separate_lock = nullcontext() if is_atomic else locks.separate_migration_lock(connection)
    count = 0
    with separate_lock, work("Migrating", len(steps), "migrations") as progress:
        while run.run_next(announce, progress):
            progress.advance()
            count += 1
    return count


def run_migrations_within(connection: Connection, graph: MigrationGraph) -> None:
    """Run all migrations in the current transaction, so that all or none are applied."""
    refuse_other_database(connection, graph.features)
    run = _Run(connection, graph, plan_migrations(graph), locks.acquire_migration_lock, is_within=True)
    while run.attempt_next():
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
            locks.acquire_migration_lock(connection)
            run_due_statements(connection)
    except SQLAlchemyError as error:
        raise OperatorError(f"Search indexes or groups could not be created: {first_line(error)}.") from error


def refuse_other_database(connection: Connection, features: Collection[str]) -> None:
    """Refuse features that need PostgreSQL on another database."""
    if connection.dialect.name != "postgresql" and (names := features_on_postgresql(features)):
        raise OperatorError(
            f"The tables of {', '.join(names)} need PostgreSQL. Set DATABASE_URL to a PostgreSQL database."
        )


@dataclass(frozen=True)
class _Run:
    connection: Connection
    graph: MigrationGraph
    plan: Plan
    lock: Callable[[Connection], None]
    """Takes the lock, or limits the time to wait for tables, at the begin of each transaction."""
    is_within: bool = False
    """Whether the steps run in a transaction of the caller."""

    def run_next(self, announce: Announce, progress: Progress) -> bool:
        """Run the next step, if there is one. Repeat it while other transactions hold a lock on its tables."""
        with ExitStack() as announcement:  # ends after the commit
            notice = threading.Timer(WAIT_NOTICE_SECONDS, logger.warning, [WAITING])
            announcement.callback(notice.cancel)
            notice.start()

            @cache  # a repeated attempt is not announced again
            def announce_once(step: Step) -> None:
                notice.cancel()
                progress.describe(f"Migrating {step.migration}")
                announcement.enter_context(announce(step))

            return locks.retry_while_locked(lambda: self.attempt_next(announce_once))

    def attempt_next(self, announce: Callable[[Step], None] = lambda _step: None) -> bool:
        """Run the next step, and return whether there was one."""
        connection = self.connection
        context = MigrationContext.configure(connection, opts=dict(OPTIONS))
        if self.is_within or connection.dialect.name == "sqlite":
            keep_transaction(context)
        with _op_lock, _transaction(context, connection, is_within=self.is_within), Operations.context(context):
            self.lock(connection)
            if not self.is_within:
                locks.set_attempt_timeout(connection)
            steps = self.plan(self.graph.applied(read_revisions(connection)))
            if not steps:
                return False
            announce(steps[0])
            if not self.is_within:
                context.opts[STEP] = _name_of(steps[0])
            op = TransactionalOperations(context) if self.is_within else None
            self._run_step(steps[0], op)
        return True

    def _run_step(self, step: Step, op: Operations | None) -> None:
        """Run a step and record it. `op` replaces that of the migration's module."""
        migration = step.migration
        connection = self.connection
        if not migration.is_atomic:
            _require_batches_first(step, connection.dialect.name)
        try:
            if not step.is_faked:
                _run_code(step, connection, op)
            _refuse_dangling_rows(connection, migration)
            if not migration.is_atomic:
                forget_position(connection, _name_of(step))
            self._record(step)
        except (ConversionError, DuplicatesError, SQLAlchemyError) as error:
            raise explain_failure(error, migration) from error

    def _record(self, step: Step) -> None:
        applied = {*self.graph.applied(read_revisions(self.connection))} - {step.migration}
        if step.direction == "upgrade":
            applied.add(step.migration)
        record_revisions(self.connection, self.graph, self.graph.rows(applied))


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


def _name_of(step: Step) -> str:
    """Return the name of a step with which `in_batches` stores its position."""
    return f"{step.direction} {step.migration.revision}"


def _run_code(step: Step, connection: Connection, op: Operations | None) -> None:
    path = step.migration.path
    module: Any = load_python_file(path.parent, path.name)
    if op:
        module.op = op
    with ignore_reflection_warnings(), refuse_duplicates(connection):
        getattr(module, step.direction)()


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


def explain_failure(error: Exception, migration: Migration) -> OperatorError:
    failure = "failed and was undone" if migration.is_atomic else "failed halfway. Fix the cause, and run this again"
    if isinstance(error, ConversionError):
        return OperatorError(f"{migration} was undone: {error}. {_fill_advice(migration)}")
    if isinstance(error, DuplicatesError):
        return OperatorError(f"{migration} {failure}: {error}. Change or delete these rows, then run this again.")
    if is_locked(error):
        effect = "was undone" if migration.is_atomic else "failed halfway"
        return TableLockedError(
            f"{migration} {effect}: other transactions use its tables. Run this again at a quieter time."
        )
    return OperatorError(f"{migration} {failure}: {first_line(error)}{_advice(error, migration)}")


def _advice(error: Exception, migration: Migration) -> str:
    if is_full(error):
        return ". Free some space, then run this again."
    if not isinstance(error, IntegrityError) and NO_DEFAULT not in str(error):
        return ""
    if FILL_COMMENT in migration.path.read_text(encoding="utf-8"):
        return f". {_fill_advice(migration)}"
    return f". Change these rows, or the migration {display_path(migration.path)}, then run this again."


def _fill_advice(migration: Migration) -> str:
    return f"Set the value for existing rows at FILL in {display_path(migration.path)}."


def first_line(error: Exception) -> str:
    # Only the first line: the others may quote a row.
    message = str(error.orig if isinstance(error, DBAPIError) else error)
    return next(iter(message.splitlines()), type(error).__name__).replace(TABLE_COPY, "")
