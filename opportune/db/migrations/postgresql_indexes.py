"""Alembic's comparison of indexes on PostgreSQL."""

from collections.abc import Iterable
from typing import Any

from alembic.ddl.impl import ComparisonResult
from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy import Column, Connection, Index, Table, TextClause, literal_column, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex

from opportune.db.migrations.create_statements import escape_parameters, has_collation, parse_index, sql_of

COPY = "opportune_comparison"
INDEX_DEFINITIONS = """
    SELECT relname, pg_get_indexdef(indexrelid, 0, true) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = to_regclass(:table)
"""


class CompletePostgresqlImpl(PostgresqlImpl):
    """Replacement for Alembic's PostgreSQL implementation, registered by `__dialect__`."""

    __dialect__ = "postgresql"

    def correct_for_autogen_constraints(
        self, conn_unique_constraints: Any, conn_indexes: set[Index], *model_constraints: Any
    ) -> None:
        """Add the collations of existing indexes, which SQLAlchemy does not reflect."""
        super().correct_for_autogen_constraints(  # type: ignore[no-untyped-call]
            conn_unique_constraints, conn_indexes, *model_constraints
        )
        assert self.connection is not None  # models are compared with a database
        for table in {index.table for index in conn_indexes if index.table is not None}:
            indexes = [index for index in conn_indexes if index.table is table]
            conn_indexes.difference_update(indexes)
            conn_indexes.update(complete_indexes(self.connection, table, indexes))

    def compare_indexes(self, metadata_index: Index, reflected_index: Index) -> ComparisonResult:
        """Compare expressions and conditions as PostgreSQL itself writes them."""
        if not _has_expression(metadata_index) and not _has_expression(reflected_index):
            return super().compare_indexes(metadata_index, reflected_index)
        assert self.connection is not None  # models are compared with a database
        assert reflected_index.table is not None  # it was reflected with its table
        table = self.dialect.identifier_preparer.format_table(reflected_index.table)
        old = _read_index_definitions(self.connection, table)[str(reflected_index.name)]
        sql = str(CreateIndex(_with_operator_classes(metadata_index)).compile(dialect=self.dialect))
        try:
            sql = sql.replace(f" ON {table} ", f" ON {COPY} ", 1)
            new = define_on_copy(self.connection, table, sql, INDEX_DEFINITIONS)
            if parse_index(new) != parse_index(old):  # a restored dump has another form of the same condition
                new = define_on_copy(self.connection, table, _on_copy(new), INDEX_DEFINITIONS)
                old = define_on_copy(self.connection, table, _on_copy(old), INDEX_DEFINITIONS)
        except DBAPIError:  # a column does not exist yet, or the user may not create temporary tables
            return super().compare_indexes(metadata_index, reflected_index)
        is_equal = parse_index(new) == parse_index(old)
        return ComparisonResult.Equal() if is_equal else ComparisonResult.Different(f"{old} to {new}")


def define_on_copy(connection: Connection, table_name: str, sql: str, definitions: str) -> str:
    """Create an index or a constraint on an empty copy of a table, and return its definition by PostgreSQL.

    Args:
        sql: Statement that creates it on the table `COPY`.
        definitions: Query for the definitions of a `:table`, in the last column.
    """
    with connection.begin_nested() as savepoint:
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {COPY} (LIKE {table_name})")
        connection.exec_driver_sql(sql)
        row = connection.execute(text(definitions), {"table": COPY}).one()
        savepoint.rollback()
    return str(row[-1])


def complete_indexes(connection: Connection, table: Table, indexes: Iterable[Index]) -> list[Index]:
    """Return reflected indexes of a table with their collations, which SQLAlchemy does not reflect."""
    definitions = _read_index_definitions(connection, connection.dialect.identifier_preparer.format_table(table))
    return [_complete(index, definitions[str(index.name)]) for index in indexes]


def _on_copy(definition: str) -> str:
    """Return the statement that creates an index with this definition on the copy, as in a restored dump."""
    unique = "UNIQUE " if parse_index(definition).is_unique else ""
    _, _, properties = definition.partition(" USING ")
    escaped = properties.replace("%", "%%")  # for the driver
    return f"CREATE {unique}INDEX ON {COPY} USING {escaped}"


def _read_index_definitions(connection: Connection, table_name: str) -> dict[str, str]:
    return dict(connection.execute(text(INDEX_DEFINITIONS), {"table": table_name}).all())


def _with_operator_classes(index: Index) -> Index:
    """Return an index with expressions as migrations write them. `text` would ignore `postgresql_ops`."""
    parts = [literal_column(sql_of(part)) if isinstance(part, TextClause) else part for part in index.expressions]
    return Index(index.name, *parts, unique=index.unique, _table=index.table, **index.kwargs)


def _has_expression(index: Index) -> bool:
    has_condition = index.kwargs.get("postgresql_where") is not None
    return has_condition or any(not isinstance(part, Column) for part in index.expressions)


def _complete(index: Index, sql: str) -> Index:
    """Return an index with the collations of its definition, and with a condition that migrations can write."""
    parts = [
        text(escape_parameters(definition)) if has_collation(definition) else part
        for part, definition in zip(index.expressions, parse_index(sql).parts, strict=True)
    ]
    options = dict(index.kwargs)
    if isinstance(where := options.get("postgresql_where"), str):
        options["postgresql_where"] = text(escape_parameters(where))
    return Index(index.name, *parts, unique=index.unique, _table=index.table, info=index.info, **options)
