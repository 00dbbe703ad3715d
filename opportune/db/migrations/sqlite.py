"""Alembic's steps on SQLite, which copy a table to alter it. Views and triggers are preserved."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from alembic.ddl.impl import ComparisonResult
from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy import CheckConstraint, Column, Connection, Index, String, Table, UniqueConstraint, text

from opportune.db.listeners import listening
from opportune.db.migrations.create_statements import (
    TableDefinition,
    escape_parameters,
    identifiers,
    normalize,
    rename_identifiers,
    sql_of,
    without_default_order,
)
from opportune.db.migrations.duplicates import TABLE_COPY
from opportune.db.migrations.portable_sql import literal
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.reflection import read_table
from opportune.db.models.indexes import TRIGRAMS_PREFIX
from opportune.errors import OperatorError

KEEP_SEQUENCE = "INSERT INTO sqlite_sequence (name, seq) SELECT :copy, seq FROM sqlite_sequence WHERE name = :table"
COUNT_OF_COPIES = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB :copies"
VIEWS_AND_TRIGGERS = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY type, rowid"
"""Triggers first, because dropping a view drops its triggers."""
NO_NAMES: Mapping[str, str] = {}
DROPPED = re.compile(r"\s*DROP TABLE\b")
RENAMED = re.compile(rf'\s*ALTER TABLE "?{TABLE_COPY}.* RENAME TO\b', re.DOTALL)


class CompleteSQLiteImpl(SQLiteImpl):
    """Replacement for Alembic's SQLite implementation, registered by `__dialect__`.

    It compares and copies all that `CompleteSQLiteDialect` reflects.
    """

    __dialect__ = "sqlite"

    def cast_for_batch_migrate(self, existing: Column[Any], existing_transfer: dict[str, Any], new_type: Any) -> None:
        """Copy the stored values unchanged, without the CAST that Alembic adds.

        It would convert '2026-12-02' to 2026 and 'abc' to 0. `convert_column` checks the values first. When they are
        copied, SQLite converts them by the affinity of the new column.
        """

    def autogen_column_reflect(self, _inspector: Any, _table: Table, column: dict[str, Any]) -> None:
        """Compare primary keys as required. SQLite allows NULL in those that do not say NOT NULL."""
        if column["primary_key"]:
            column["nullable"] = False

    def correct_for_autogen_constraints(
        self,
        conn_unique_constraints: Iterable[UniqueConstraint],
        _conn_indexes: Any,
        metadata_unique_constraints: set[UniqueConstraint],
        _metadata_indexes: Any,
    ) -> None:
        """Compare all indexes, and accept existing unique constraints without a name.

        Alembic skips expressions, which SQLAlchemy's dialect does not reflect.
        """
        unnamed = {tuple(rule.columns.keys()) for rule in conn_unique_constraints if not rule.name}
        for rule in [*metadata_unique_constraints]:
            if tuple(rule.columns.keys()) in unnamed:
                metadata_unique_constraints.remove(rule)

    def compare_server_default(self, inspector_column: Any, metadata_column: Any, new: Any, old: Any) -> bool:
        """Return whether the SQL of two defaults differs. `true` and `(1)` are equal, and `NULL` and no default."""
        is_different = super().compare_server_default(inspector_column, metadata_column, new, old)
        value = getattr(metadata_column.server_default, "arg", None)
        sql = literal(value) if isinstance(value, str) else new or "NULL"
        return is_different and normalize(sql) != normalize(old or "NULL")

    def compare_indexes(self, metadata_index: Index, reflected_index: Index) -> ComparisonResult:
        new = _definition(metadata_index)
        old = _definition(reflected_index)
        return ComparisonResult.Equal() if new == old else ComparisonResult.Different(f"{old} to {new}")

    def create_index(self, index: Index, **options: Any) -> None:
        super().create_index(_for_sqlite(index), **options)

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        """Keep what Alembic omits from a copy: expressions, collations, unnamed checks, last numbers of keys."""
        if not batch_impl.reflected:
            return
        definition = self._read_table(table)
        _refuse_collated_constraints(table, definition)
        renamed = {old: column.name for old, column in batch_impl.columns.items() if old != column.name}
        # Alembic copies new indexes without their expressions, but existing ones with them.
        indexes = {**batch_impl.indexes, **batch_impl.new_indexes}
        batch_impl.indexes = {name: _for_sqlite(index, renamed) for name, index in indexes.items()}
        batch_impl.new_indexes = {}
        _copy_unnamed_checks(batch_impl, table, renamed)
        _complete_columns(batch_impl, definition)
        if table.dialect_options["sqlite"]["autoincrement"]:
            self.execute(text(KEEP_SEQUENCE).bindparams(copy=batch_impl.temp_table_name, table=table.name))

    def _read_table(self, table: Table) -> TableDefinition:
        assert self.connection is not None  # Alembic copies no table without a connection
        return read_table(self.connection, table.name)


def _refuse_collated_constraints(table: Table, definition: TableDefinition) -> None:
    """Refuse to copy a table without a constraint that SQLAlchemy cannot describe.

    Raises:
        OperatorError: A unique constraint has a collation.
    """
    names = {column.name.lower() for column in table.columns}
    for rule in definition.unique_rules:
        if not {column.lower() for column in rule.columns} <= names:
            raise OperatorError(
                f"{table.name} must be copied, which would lose UNIQUE ({', '.join(rule.columns)}). Make it a "
                f"unique index: op.execute('CREATE UNIQUE INDEX …'), and copy the table without it by hand."
            )


def _copy_unnamed_checks(batch: Any, table: Table, renamed: Mapping[str, str]) -> None:
    """Add the checks without a name to the copy, except those of dropped columns."""
    if any(isinstance(part, CheckConstraint) for part in batch.table_args):
        return  # the migration gives all constraints itself
    dropped = {column.name.lower() for column in table.columns} - {name.lower() for name in batch.columns}
    checks = [part for part in table.constraints if isinstance(part, CheckConstraint) and not part.name]
    for condition in (str(check.sqltext) for check in checks):
        if identifiers(condition).isdisjoint(dropped):
            copied = CheckConstraint(escape_parameters(rename_identifiers(condition, renamed)))
            batch.new_table.append_constraint(copied)


def _complete_columns(batch: Any, definition: TableDefinition) -> None:
    """Keep collations, and let the database compute generated columns again."""
    for name, column in batch.columns.items():
        if column.computed is not None:
            batch.column_transfers[name].pop("expr", None)
        if isinstance(column.type, String) and not column.type.collation and name.lower() in definition.columns:
            column.type.collation = definition.columns[name.lower()].collation


def _definition(index: Index) -> tuple[bool, Sequence[Sequence[str]], Sequence[str]]:
    """Return the properties of an index as the generated code of a migration has them."""
    where = index.dialect_options["sqlite"]["where"]
    parts = [normalize(without_default_order(sql_of(part))) for part in index.expressions]
    return bool(index.unique), parts, normalize(sql_of(where)) if where is not None else ()


def _for_sqlite(index: Index, renamed: Mapping[str, str] = NO_NAMES) -> Index:
    """Return an index of the same table for SQLite, whose expressions use the new names of columns."""
    where = index.dialect_options["sqlite"]["where"]
    options = {} if where is None else {"sqlite_where": _rename(where, renamed)}
    parts = [part if isinstance(part, Column) else _rename(part, renamed) for part in index.expressions]
    return Index(index.name, *parts, unique=index.unique, _table=index.table, **{**index.kwargs, **options})


def _rename(expression: Any, renamed: Mapping[str, str]) -> Any:
    return text(escape_parameters(rename_identifiers(without_default_order(sql_of(expression)), renamed)))


@contextmanager
def preserve_views_and_triggers(connection: Connection) -> Iterator[None]:
    """Drop views and triggers before a table is rebuilt, and create them again afterwards.

    Alembic drops a table and renames its copy. This loses the table's triggers, and renaming fails if a view or trigger
    refers to a missing table or column.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    objects = _ViewsAndTriggers(connection)
    with listening(connection, before_cursor_execute=objects.drop, after_cursor_execute=objects.create_again):
        yield


class _ViewsAndTriggers:
    """Listeners for the statements of Alembic."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dropped: dict[str, list[str]] = {"view": [], "trigger": []}
        """Definitions by type. Triggers may belong to views, which are created first."""

    def drop(self, _connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if not (DROPPED.match(statement) and self._is_table_copied()):
            return
        for type_, name, sql in self.connection.execute(text(VIEWS_AND_TRIGGERS)).all():
            if not is_derived(name) or name.startswith(TRIGRAMS_PREFIX):
                self.dropped[type_].append(sql)
                self.connection.exec_driver_sql(f"DROP {type_} {self._quoted(name)}")

    def create_again(self, _connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if RENAMED.match(statement):
            for definitions in self.dropped.values():
                for sql in definitions:
                    self.connection.exec_driver_sql(sql)
                definitions.clear()

    def _is_table_copied(self) -> bool:
        return bool(self.connection.scalar(text(COUNT_OF_COPIES), {"copies": f"{TABLE_COPY}*"}))

    def _quoted(self, name: str) -> str:
        return self.connection.dialect.identifier_preparer.quote_identifier(name)
