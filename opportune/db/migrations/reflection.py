"""Reflection of tables: a complete SQLite dialect, so that Alembic loses nothing, and warnings to ignore.

SQLAlchemy's own dialect leaves out expressions, sort orders and collations of indexes, AUTOINCREMENT, and unique
constraints and generated columns that are written in other ways than its own.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from opportune.db.migrations import create_statements

TABLE = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(:table)"
INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND lower(tbl_name) = lower(:table) AND sql <> ''"
PARTS = "SELECT name FROM pragma_index_xinfo(:index) WHERE key ORDER BY seqno"
DRIVER = "opportune"


class CompleteSQLiteDialect(SQLiteDialect_pysqlite):
    """SQLite dialect whose reflected tables have all that their CREATE statements say."""

    supports_statement_cache = True

    def get_indexes(self, connection: Connection, table_name: str, *schema: Any, **options: Any) -> Any:
        with ignore_reflection_warnings():
            indexes = super().get_indexes(connection, table_name, *schema, **options)  # type: ignore[no-untyped-call]
        definitions = {index.name: index.sql for index in connection.execute(text(INDEXES), {"table": table_name})}
        automatic = [index for index in indexes if index["name"] not in definitions]
        parsed = {name: create_statements.parse_index(sql) for name, sql in sorted(definitions.items())}
        return automatic + [_describe_index(connection, name, definition) for name, definition in parsed.items()]

    def get_columns(self, connection: Connection, table_name: str, *schema: Any, **options: Any) -> Any:
        columns = super().get_columns(connection, table_name, *schema, **options)  # type: ignore[no-untyped-call]
        definitions = read_table(connection, table_name).columns
        for column in columns:
            if definition := definitions.get(column["name"].lower()):
                column["dialect_options"] = {**definition.conflict_options}
                if "computed" in column:
                    column["computed"]["sqltext"] = definition.expression
            if create_statements.needs_parentheses(column["default"] or ""):
                column["default"] = f"({column['default']})"
        return columns

    def get_pk_constraint(self, connection: Connection, table_name: str, *schema: Any, **options: Any) -> Any:
        key = super().get_pk_constraint(connection, table_name, *schema, **options)  # type: ignore[no-untyped-call]
        return {**key, "dialect_options": {"sqlite_on_conflict": read_table(connection, table_name).key_conflict}}

    def get_unique_constraints(self, connection: Connection, table_name: str, *schema: Any, **options: Any) -> Any:
        table_columns = self.get_columns(connection, table_name, *schema, **options)
        names = {column["name"].lower(): column["name"] for column in table_columns}
        constraints: list[dict[str, Any]] = []
        for rule in read_table(connection, table_name).unique_rules:
            columns = [names.get(column.lower()) for column in rule.columns]
            if None not in columns:  # `title COLLATE NOCASE` is not a column
                conflict = {"sqlite_on_conflict": rule.on_conflict}
                constraints.append({"name": rule.name, "column_names": columns, "dialect_options": conflict})
        return constraints

    def get_foreign_keys(self, connection: Connection, table_name: str, *schema: Any, **options: Any) -> Any:
        keys = super().get_foreign_keys(connection, table_name, *schema, **options)  # type: ignore[no-untyped-call]
        definitions = read_table(connection, table_name).columns
        for key in keys:
            definition = definitions.get(key["constrained_columns"][0].lower())
            if definition and not key["options"] and len(key["constrained_columns"]) == 1:
                key["options"] = {**definition.reference_options}
        return keys

    def get_check_constraints(self, connection: Connection, table_name: str, *schema: Any, **options: Any) -> Any:
        checks = super().get_check_constraints(connection, table_name, *schema, **options)  # type: ignore[no-untyped-call]
        return [{**check, "sqltext": create_statements.escape_parameters(check["sqltext"])} for check in checks]

    def get_table_options(self, connection: Connection, table_name: str, *schema: Any, **options: Any) -> Any:
        found = super().get_table_options(connection, table_name, *schema, **options)  # type: ignore[no-untyped-call]
        columns = read_table(connection, table_name).columns.values()
        is_autoincrement = any(column.is_autoincrement for column in columns)
        return {**found, "sqlite_autoincrement": True} if is_autoincrement else found


def read_table(connection: Connection, name: str) -> create_statements.TableDefinition:
    return create_statements.parse_table(connection.scalar(text(TABLE), {"table": name}) or "")


@contextmanager
def ignore_reflection_warnings() -> Iterator[None]:
    """Ignore warnings about what the dialect of migrations handles, and about options that models never have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*expression-based index")
        warnings.filterwarnings("ignore", message="Failed to look up filter predicate")
        warnings.filterwarnings("ignore", message="Unnamed CHECK constraint")  # copied by `CompleteSQLiteImpl`
        warnings.filterwarnings("ignore", message="Could not instantiate type")  # int(11), which SQLite accepts
        warnings.filterwarnings("ignore", message="Can't validate argument")  # NOT VALID, NO INHERIT of PostgreSQL
        yield


def _describe_index(connection: Connection, name: str, definition: create_statements.IndexDefinition) -> dict[str, Any]:
    columns = connection.scalars(text(PARTS), {"index": name}).all()
    parts = zip(columns, definition.parts, strict=True)
    options = {"sqlite_where": text(create_statements.escape_parameters(definition.where))} if definition.where else {}
    return {
        "name": name,
        # Anything but a column alone, such as `title DESC`, is an expression.
        "column_names": [column if _is_alone(part, column) else None for column, part in parts],
        "expressions": [create_statements.escape_parameters(part) for part in definition.parts],
        "unique": definition.is_unique,
        "dialect_options": options,
    }


def _is_alone(part: str, column: str | None) -> bool:
    expression = create_statements.without_default_order(part)
    return column is not None and create_statements.normalize(expression) == [column.lower()]


registry.register(f"sqlite.{DRIVER}", __name__, CompleteSQLiteDialect.__name__)
