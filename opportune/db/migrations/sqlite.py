"""Alembic's steps on SQLite, which copy a table to alter it. Triggers and views are preserved."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alembic.ddl.impl import ComparisonResult
from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy import CheckConstraint, Column, Index, String, Table, UniqueConstraint, text

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
from opportune.db.migrations.portable_sql import quote_literal
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.reflection import read_table
from opportune.db.models.indexes import TRIGRAMS_PREFIX
from opportune.errors import OperatorError

KEEP_SEQUENCE = "INSERT INTO sqlite_sequence (name, seq) SELECT :copy, seq FROM sqlite_sequence WHERE name = :table"
TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:table)"


class CompleteSQLiteImpl(SQLiteImpl):
    """Replacement for Alembic's SQLite implementation, registered by `__dialect__`.

    It compares and copies all that `CompleteSQLiteDialect` reflects.
    """

    __dialect__ = "sqlite"
    dropped_triggers: Sequence[str] = ()
    """Statements that create the triggers of the table that is being copied."""

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
        sql = quote_literal(value) if isinstance(value, str) else new or "NULL"
        return is_different and normalize(sql) != normalize(old or "NULL")

    def compare_indexes(self, metadata_index: Index, reflected_index: Index) -> ComparisonResult:
        new = _definition(metadata_index)
        old = _definition(reflected_index)
        return ComparisonResult.Equal() if new == old else ComparisonResult.Different(f"{old} to {new}")

    def create_index(self, index: Index, **options: Any) -> None:
        super().create_index(_for_sqlite(index, {}), **options)

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        """Keep what Alembic omits: triggers, expressions, collations, unnamed checks, last numbers of keys."""
        assert self.connection is not None  # Alembic copies no table without a connection
        triggers = self.connection.execute(text(TRIGGERS), {"table": table.name}).all()
        # Triggers of search indexes are created after the migrations, but those of trigrams have migrations.
        self.dropped_triggers = [
            sql for name, sql in triggers if not is_derived(name) or name.startswith(TRIGRAMS_PREFIX)
        ]
        if not batch_impl.reflected:
            return
        definition = read_table(self.connection, table.name)
        _refuse_lost_rules(table, definition)
        renamed = {old: column.name for old, column in batch_impl.columns.items() if old != column.name}
        # Alembic copies new indexes without their expressions, but existing ones with them.
        indexes = {**batch_impl.indexes, **batch_impl.new_indexes}
        batch_impl.indexes = {name: _for_sqlite(index, renamed) for name, index in indexes.items()}
        batch_impl.new_indexes = {}
        _copy_unnamed_checks(batch_impl, table, renamed)
        _complete_columns(batch_impl, definition)
        if table.dialect_options["sqlite"]["autoincrement"]:
            self.execute(text(KEEP_SEQUENCE).bindparams(copy=batch_impl.temp_table_name, table=table.name))

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """Rename a table. A copy gets the triggers of the original."""
        if not old_table_name.startswith(TABLE_COPY):
            super().rename_table(old_table_name, new_table_name, schema=schema)
            return
        # Without it, renaming the copy fails if a view or a trigger refers to a missing table or column.
        self.execute("PRAGMA legacy_alter_table = ON")
        try:
            super().rename_table(old_table_name, new_table_name, schema=schema)
        finally:
            self.execute("PRAGMA legacy_alter_table = OFF")
        for statement in self.dropped_triggers:
            self.execute(text(escape_parameters(statement)))


def _refuse_lost_rules(table: Table, definition: TableDefinition) -> None:
    """Refuse to copy a table without a rule that SQLAlchemy cannot describe."""
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


def _for_sqlite(index: Index, renamed: Mapping[str, str]) -> Index:
    """Return an index of the same table for SQLite, whose expressions use the new names of columns."""
    where = index.dialect_options["sqlite"]["where"]
    options = {} if where is None else {"sqlite_where": _rename(where, renamed)}
    parts = [part if isinstance(part, Column) else _rename(part, renamed) for part in index.expressions]
    return Index(index.name, *parts, unique=index.unique, _table=index.table, **{**index.kwargs, **options})


def _rename(expression: Any, renamed: Mapping[str, str]) -> Any:
    return text(escape_parameters(rename_identifiers(without_default_order(sql_of(expression)), renamed)))
