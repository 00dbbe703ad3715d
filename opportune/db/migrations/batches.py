"""Changes of many rows in short transactions: `in_batches`, called by migrations."""

import time
from typing import Any

from alembic.operations import Operations, ops
from alembic.util import CommandError
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, delete, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.locks import TableLockedError, is_locked, retry_while_locked, set_attempt_timeout
from opportune.db.migrations.options import STEP, TransactionalOperations
from opportune.errors import OperatorError
from opportune.progress import work

BATCH_ROWS = 1_000
PARAMETERS = {"first", "last"}

POSITIONS = Table(
    "alembic_batch",
    MetaData(),
    Column("step", String(200), primary_key=True),  # of a migration that has not ended
    Column("call", Integer, nullable=False),  # number of the call of `in_batches`
    Column("key", String),  # of the last changed row
)
"""Positions of migrations that are changing rows. The table exists only while there is one."""


class AppliedElsewhereError(Exception):
    """Another process has ended the migration between two batches. This happens on SQLite, which has no other lock."""


class InBatchesOp(CodeOp):
    """Call of `in_batches`."""

    def __init__(self, table_name: str, statement: str, batch_rows: int) -> None:
        super().__init__(f"Change rows of {table_name} in batches", "")
        self.table_name = table_name
        self.statement = statement
        self.batch_rows = batch_rows


def in_batches(op: Any, table_name: str, statement: str, batch_rows: int = BATCH_ROWS) -> None:
    """Run a statement for all rows of a table, in batches that are committed one after the other. Migrations call it.

    The position is committed with each batch. If the migration is stopped, `migrate` continues with the next batch.
    Within a caller's transaction, such as that of a test, nothing is committed.

    Args:
        op: The migration's `op`.
        table_name: Name of the table. Its primary key is a single column.
        statement: SQL with a condition such as `id BETWEEN :first AND :last`, which are the keys of a batch.
        batch_rows: Maximum rows of a batch.

    Raises:
        OperatorError: The statement has no `:first` and `:last`, or the table has no suitable primary key.
    """
    if missing := PARAMETERS - text(statement).compile().params.keys():
        names = " and ".join(f":{name}" for name in sorted(missing))
        raise OperatorError(f"in_batches of {table_name}: add {names} to the statement (id BETWEEN :first AND :last).")
    if batch_rows < 1:
        raise OperatorError(f"in_batches of {table_name}: batch_rows is {batch_rows}, but must be at least 1.")
    op.invoke(InBatchesOp(table_name, statement, batch_rows))


def find_step_before_batches(operations: list[ops.MigrateOperation]) -> ops.MigrateOperation | None:
    """Return a step that a second attempt would repeat, because the first batch commits it."""
    remaining = list(operations)
    while remaining and not isinstance(remaining[-1], InBatchesOp):
        remaining.pop()
    return next((operation for operation in remaining if not isinstance(operation, InBatchesOp)), None)


def forget_position(connection: Connection, step: str) -> None:
    """Forget the position of a migration that has ended, in the transaction that records it."""
    if inspect(connection).has_table(POSITIONS.name):
        connection.execute(delete(POSITIONS).where(POSITIONS.c.step == step))
        if not connection.scalar(select(func.count()).select_from(POSITIONS)):
            POSITIONS.drop(connection)


@Operations.implementation_for(InBatchesOp)
def _run(operations: Operations, operation: InBatchesOp) -> None:
    context = operations.migration_context
    if context.as_sql:
        raise CommandError("The batches depend on the rows.")
    batches = _Batches(operations.get_bind(), operation)
    if STEP not in context.opts or isinstance(operations, TransactionalOperations):
        batches.run_within_transaction()
        return
    if not batches.resume(context.opts):
        return
    with work(f"Changing rows of {operation.table_name}", batches.count_remaining(), "rows") as progress:
        while count := retry_while_locked(batches.attempt_next):
            progress.advance(count)


class _Batches:
    """Batches of rows of a table, in one transaction each, which also stores the position."""

    step = ""

    def __init__(self, connection: Connection, operation: InBatchesOp) -> None:
        self.connection = connection
        self.operation = operation
        self.key: Any = None
        """Key of the last changed row."""
        inspector = inspect(connection)
        names = inspector.get_pk_constraint(operation.table_name)["constrained_columns"]
        if len(names) != 1:
            raise OperatorError(f"in_batches of {operation.table_name}: its primary key is not a single column.")
        columns = inspector.get_columns(operation.table_name)
        self.is_integer = any(isinstance(info["type"], Integer) for info in columns if info["name"] == names[0])
        quote = connection.dialect.identifier_preparer.quote
        self.key_name = quote(names[0])
        self.table_name = quote(operation.table_name)

    def run_within_transaction(self) -> None:
        """Change all rows within a transaction of the caller."""
        while self._change_rows():
            pass

    def resume(self, options: dict[str, Any]) -> bool:
        """Continue at the stored position. Return whether this call has not ended yet."""
        self.step = options[STEP]
        call: int = options.get("batch_calls", 0) + 1
        options["batch_calls"] = call
        POSITIONS.create(self.connection, checkfirst=True)
        stored_call = self.connection.scalar(select(POSITIONS.c.call).where(POSITIONS.c.step == self.step)) or 0
        if stored_call < call:
            self.connection.execute(delete(POSITIONS).where(POSITIONS.c.step == self.step))
            self.connection.execute(POSITIONS.insert().values(step=self.step, call=call, key=None))
        else:
            self._read_position()
        self.connection.commit()
        return stored_call <= call

    def count_remaining(self) -> int:
        set_attempt_timeout(self.connection)
        return self.connection.scalar(text(f"SELECT count(*) {self._remaining()}"), {"key": self.key}) or 0

    def attempt_next(self) -> int:
        """Change the rows of the next batch, commit, and return their number."""
        started_at = time.monotonic()
        try:
            set_attempt_timeout(self.connection)
            self._read_position()
            count = self._change_rows()
            if not count:
                return 0  # this transaction remains open for the following steps of the migration
            key = str(self.key)
            self.connection.execute(POSITIONS.update().where(POSITIONS.c.step == self.step).values(key=key))
            self.connection.commit()
        except DBAPIError as error:
            if not is_locked(error):
                raise
            self.connection.rollback()
            raise TableLockedError(
                f"Other transactions use rows of {self.operation.table_name}. Run this again: it continues there."
            ) from error
        if self.connection.dialect.name == "sqlite":
            time.sleep(time.monotonic() - started_at)  # other writers poll for the lock, so it must be free for a while
        return count

    def _change_rows(self) -> int:
        query = f"SELECT {self.key_name} {self._remaining()} ORDER BY {self.key_name} LIMIT :limit"
        parameters = {"key": self.key, "limit": self.operation.batch_rows}
        keys = self.connection.scalars(text(query), parameters).all()
        if keys:
            self.connection.execute(text(self.operation.statement), {"first": keys[0], "last": keys[-1]})
            self.key = keys[-1]
        return len(keys)

    def _remaining(self) -> str:
        return f"FROM {self.table_name}" + ("" if self.key is None else f" WHERE {self.key_name} > :key")

    def _read_position(self) -> None:
        if not inspect(self.connection).has_table(POSITIONS.name):
            raise AppliedElsewhereError
        position = self.connection.execute(select(POSITIONS.c.key).where(POSITIONS.c.step == self.step)).first()
        if position is None:
            raise AppliedElsewhereError
        self.key = int(position.key) if self.is_integer and position.key is not None else position.key
