"""Alembic's comparison of indexes on PostgreSQL, and the types and sequences that new tables need."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from alembic.ddl.impl import ComparisonResult
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.operations import ops
from sqlalchemy import ARRAY, Column, Connection, DefaultClause, Enum, Index, Table, TextClause, literal_column, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex
from sqlalchemy.types import TypeEngine

from opportune.db.migrations.create_statements import escape_parameters, has_collation, parse_index, sql_of
from opportune.db.migrations.rendering import CodeOp, quoted
from opportune.db.models.native_type import NativeType

COPY = "opportune_comparison"
INDEX_DEFINITIONS = """
    SELECT relname, pg_get_indexdef(indexrelid, 0, true) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = to_regclass(:table)
"""

TYPE_DEFINITION = """
    SELECT CASE WHEN extname IS NOT NULL THEN 'CREATE EXTENSION IF NOT EXISTS ' || quote_ident(extname) ELSE
    CASE typtype
        WHEN 'c' THEN 'CREATE TYPE ' || name || ' AS (' || (
            SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped) || ')'
        WHEN 'r' THEN 'CREATE TYPE ' || name || ' AS RANGE (subtype = ' || (
            SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = pg_type.oid) || ')'
        WHEN 'd' THEN 'CREATE DOMAIN ' || name || ' AS ' || format_type(typbasetype, typtypmod)
            || coalesce(' DEFAULT ' || typdefault, '') || CASE WHEN typnotnull THEN ' NOT NULL' ELSE '' END
            || coalesce((SELECT string_agg(' CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid),
                '' ORDER BY conname) FROM pg_constraint WHERE contypid = pg_type.oid AND contype = 'c'), '')
    END END
    FROM pg_type CROSS JOIN format_type(pg_type.oid, NULL) AS name
    LEFT JOIN pg_depend ON classid = 'pg_type'::regclass AND objid = pg_type.oid AND deptype = 'e'
    LEFT JOIN pg_extension ON pg_extension.oid = refobjid
    WHERE pg_type.oid = to_regtype(:name) AND typnamespace <> 'pg_catalog'::regnamespace
"""
EXTENSIONS = """
    SELECT DISTINCT extname FROM pg_depend AS needed
    JOIN pg_depend AS member ON member.classid = needed.refclassid AND member.objid = needed.refobjid
        AND member.deptype = 'e'
    JOIN pg_extension ON pg_extension.oid = member.refobjid
    WHERE needed.classid = 'pg_class'::regclass
        AND needed.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass(:table))
    OR needed.classid = 'pg_attrdef'::regclass
        AND needed.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = to_regclass(:table))
    ORDER BY 1
"""
"""Extensions with the operator classes and functions of the indexes and defaults of an existing table."""
SEQUENCE = re.compile(r"nextval\('([^']+)'")


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
        old = _read_index_definitions(self.connection, self._format(reflected_index.table))[str(reflected_index.name)]
        try:
            new = self._define(metadata_index)
            if parse_index(new) != parse_index(old):  # a restored dump has another form of the same condition
                new, old = self._define_again(new, metadata_index), self._define_again(old, metadata_index)
        except DBAPIError:  # a column does not exist yet, or the user may not create temporary tables
            return super().compare_indexes(metadata_index, reflected_index)
        is_equal = parse_index(new) == parse_index(old)
        return ComparisonResult.Equal() if is_equal else ComparisonResult.Different(f"{old} to {new}")

    def _define(self, index: Index) -> str:
        """Return the definition that PostgreSQL gives to an index."""
        assert index.table is not None
        sql = str(CreateIndex(_with_operator_classes(index)).compile(dialect=self.dialect))
        return self._define_on_copy(index.table, sql.replace(f" ON {self._format(index.table)} ", f" ON {COPY} ", 1))

    def _define_again(self, definition: str, index: Index) -> str:
        """Return the definition of an index that is created from a definition, as in a restored dump."""
        assert index.table is not None
        unique = "UNIQUE " if parse_index(definition).is_unique else ""
        _, _, properties = definition.partition(" USING ")
        escaped = properties.replace("%", "%%")  # for the driver
        return self._define_on_copy(index.table, f"CREATE {unique}INDEX ON {COPY} USING {escaped}")

    def _define_on_copy(self, table: Table, sql: str) -> str:
        """Create an index on an empty copy of a table, and return its definition."""
        assert self.connection is not None  # models are compared with a database
        with self.connection.begin_nested() as savepoint:
            self.connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {COPY} (LIKE {self._format(table)})")
            self.connection.exec_driver_sql(sql)
            (definition,) = _read_index_definitions(self.connection, COPY).values()
            savepoint.rollback()
        return definition

    def _format(self, table: Table) -> str:
        return self.dialect.identifier_preparer.format_table(table)


def complete_indexes(connection: Connection, table: Table, indexes: Iterable[Index]) -> list[Index]:
    """Return reflected indexes of a table with their collations, which SQLAlchemy does not reflect."""
    definitions = _read_index_definitions(connection, connection.dialect.identifier_preparer.format_table(table))
    return [_complete(index, definitions[str(index.name)]) for index in indexes]


def _read_index_definitions(connection: Connection, table_name: str) -> dict[str, str]:
    return dict(connection.execute(text(INDEX_DEFINITIONS), {"table": table_name}).all())


def _with_operator_classes(index: Index) -> Index:
    """Return an index with expressions as migrations write them. `text` would ignore `postgresql_ops`."""
    parts = [literal_column(sql_of(part)) if isinstance(part, TextClause) else part for part in index.expressions]
    return Index(index.name, *parts, unique=index.unique, _table=index.table, **index.kwargs)


def _has_expression(index: Index) -> bool:
    return bool(index.kwargs.get("postgresql_where") is not None) or any(
        not isinstance(part, Column) for part in index.expressions
    )


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


def find_types_to_create(
    connection: Connection, operations: Sequence[ops.MigrateOperation]
) -> tuple[list[ops.MigrateOperation], list[ops.MigrateOperation]]:
    """Return operations to run before the tables are created, and after they are dropped."""
    if connection.dialect.name != "postgresql":
        return [], []
    tables = [operation.to_table() for operation in operations if isinstance(operation, ops.CreateTableOp)]
    columns = [column for table in tables for column in table.columns]
    item_types = [_item_type(column) for column in columns]
    enums = [type_ for type_ in item_types if isinstance(type_, Enum) and type_.name]
    enum_names = dict.fromkeys(type_.compile(connection.dialect) for type_ in enums)
    definitions = _read_type_definitions(connection, dict.fromkeys(map(_native_name, item_types)))
    sequences = dict.fromkeys(name for column in columns for name in _find_sequences(column))
    extensions = dict.fromkeys(name for table in tables for name in _read_extensions(connection, table.name))
    created = [
        *(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}" for schema in _find_schemas(enums, definitions)),
        *(f"CREATE EXTENSION IF NOT EXISTS {quoted(name)}" for name in extensions),
        *map(_skip_if_it_exists, definitions.values()),
        *(f"CREATE SEQUENCE IF NOT EXISTS {name}" for name in sequences),
    ]
    dropped = [
        *(f"DROP SEQUENCE IF EXISTS {name}" for name in sequences),
        *(f"DROP TYPE IF EXISTS {name}" for name in enum_names),
        *filter(None, (_drop_statement(name, sql) for name, sql in definitions.items())),
    ]
    return [ops.ExecuteSQLOp(escape_parameters(statement)) for statement in created], [*_on_postgresql(dropped)]


def _find_schemas(enums: Iterable[Enum], native_names: Iterable[str]) -> list[str]:
    """Return the schemas of types in alphabetical order."""
    schemas = {type_.schema for type_ in enums if type_.schema}
    return sorted(schemas | {name.rpartition(".")[0] for name in native_names if "." in name})


def _read_type_definitions(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """Return the statements that create those types which an extension or CREATE TYPE defines."""
    definitions = {name: connection.scalar(text(TYPE_DEFINITION), {"name": name}) for name in names if name}
    return {name: definition for name, definition in definitions.items() if definition}


def _read_extensions(connection: Connection, table_name: str) -> Sequence[str]:
    name = connection.dialect.identifier_preparer.quote(table_name)
    return connection.scalars(text(EXTENSIONS), {"table": name}).all()


def _skip_if_it_exists(definition: str) -> str:
    """Ignore existing types, because PostgreSQL has no CREATE TYPE IF NOT EXISTS."""
    if definition.startswith("CREATE EXTENSION"):
        return definition
    return f"DO $do$ BEGIN {definition}; EXCEPTION WHEN duplicate_object THEN NULL; END $do$"


def _drop_statement(name: str, definition: str) -> str:
    type_ = definition.split()[1]
    return "" if type_ == "EXTENSION" else f"DROP {type_} IF EXISTS {name}"


def _on_postgresql(statements: Sequence[str]) -> Iterator[ops.MigrateOperation]:
    """Yield code that runs the statements only on PostgreSQL."""
    if statements:
        lines = [f"    op.execute({statement!r})" for statement in statements]
        yield CodeOp("", "\n".join(['if op.get_context().dialect.name == "postgresql":', *lines]))


def _item_type(column: Column[Any]) -> TypeEngine[Any]:
    return column.type.item_type if isinstance(column.type, ARRAY) else column.type


def _native_name(type_: TypeEngine[Any]) -> str:
    """Return the name of a type that an extension or CREATE TYPE may define, else an empty string."""
    if isinstance(type_, NativeType):
        return type_.name.removesuffix("[]")
    return type(type_).__name__.lower() if isinstance(type_, (postgresql.CITEXT, postgresql.HSTORE)) else ""


def _find_sequences(column: Column[Any]) -> list[str]:
    default = column.server_default
    return SEQUENCE.findall(str(default.arg)) if isinstance(default, DefaultClause) else []
