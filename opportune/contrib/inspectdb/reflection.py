"""Reflected tables of an existing database, prepared for models, and what they need of PostgreSQL."""

from collections.abc import Collection, Iterator, Sequence

import sqlalchemy as sa
from sqlacodegen.models import Model
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import CompileError, DBAPIError, SQLAlchemyError

from opportune.contrib.inspectdb.models import ModelGenerator
from opportune.contrib.inspectdb.types import TypeWriter, adapt_columns, class_words, type_name
from opportune.db.migrations.create_statements import escape_parameters, parse_allowed_values
from opportune.db.migrations.postgresql_indexes import complete_indexes
from opportune.db.models.foreign_keys import break_cycles
from opportune.db.models.indexes import MAX_NAME_BYTES
from opportune.db.models.model import NAMING_CONVENTION
from opportune.db.models.native_type import NativeType

CONVENTION = {type_: pattern for type_, pattern in NAMING_CONVENTION.items() if type_ != "ck"}
"""Naming convention without CHECK constraints, because existing ones may have no name."""


class InspectedTables:
    """Tables for which models are written."""

    def __init__(self, connection: sa.Connection, tables: Sequence[str], targets: Collection[str]) -> None:
        """Reflect tables. Foreign keys are removed, unless they refer to one of `tables` or `targets`."""
        self.connection = connection
        self.metadata = sa.MetaData(naming_convention=CONVENTION)
        self.omitted_keys: list[str] = []
        """Removed foreign keys, such as `booking.ledger_id`."""
        self.omitted_checks: list[str] = []
        """Checks without a name, such as `item (price > 0)`. Migrations compare checks by name."""
        self.metadata.reflect(connection, only=list(tables))
        kept_tables = {*tables, *targets}
        for table in [self.metadata.tables[name] for name in tables]:
            self._prepare(table, kept_tables)
            if connection.dialect.name == "postgresql":
                table.indexes = {*complete_indexes(connection, table, [*table.indexes])}
        for table in [*self.metadata.tables.values()]:
            if table.key not in tables:  # reflected, because a foreign key referred to it
                self.metadata.remove(table)
        break_cycles(self.metadata)
        self.zero_dates = adapt_columns(self.metadata)
        """Columns whose invalid default was removed, such as `wp_posts.post_date`."""
        self.long_names = [name for table in self.metadata.tables.values() for name in _find_long_names(table)]
        """Names that are too long for PostgreSQL."""

    def notices(self) -> list[str]:
        """Return sentences about what the models omit, and about names that are too long."""
        names_by_notice = {
            "Omitted foreign keys to tables without models:": self.omitted_keys,
            "Omitted checks without a name, which only this database has:": self.omitted_checks,
            "Omitted the invalid default '0000-00-00' of": self.zero_dates,
            f"Names longer than the {MAX_NAME_BYTES} bytes that PostgreSQL allows:": self.long_names,
        }
        return [f"{notice} {', '.join(names)}." for notice, names in names_by_notice.items() if names]

    def code(self) -> str:
        return ModelGenerator(self.metadata, self.connection).generate()

    def only_on_postgresql(self) -> list[str]:
        return only_on_postgresql(self.metadata) if self.connection.dialect.name == "postgresql" else []

    def _prepare(self, table: sa.Table, kept_tables: Collection[str]) -> None:
        """Remove names of keys and constraints that models cannot have."""
        is_sqlite = self.connection.dialect.name == "sqlite"
        for constraint in [*table.constraints]:
            if isinstance(constraint, (sa.ForeignKeyConstraint, sa.PrimaryKeyConstraint)):
                constraint.name = None  # Alembic does not compare them by name
            if isinstance(constraint, sa.ForeignKeyConstraint) and constraint.referred_table.key not in kept_tables:
                self.omitted_keys.append(f"{table.name}.{', '.join(constraint.column_keys)}")
                _remove_key(table, constraint)
            if isinstance(constraint, sa.CheckConstraint):
                if is_sqlite and _allows_both_booleans(table, constraint):
                    table.constraints.remove(constraint)  # PostgreSQL cannot compare a boolean with 0 and 1
                elif constraint.name is None:
                    self.omitted_checks.append(f"{table.name} ({constraint.sqltext})")


def _find_long_names(table: sa.Table) -> list[str]:
    names = [str(part.name) for part in (table, *table.columns, *table.indexes, *table.constraints)]
    return [name for name in names if len(name.encode()) > MAX_NAME_BYTES]


def _allows_both_booleans(table: sa.Table, check: sa.CheckConstraint) -> bool:
    """Return whether a check, such as `is_out IN (0, 1)`, adds nothing to a BOOLEAN column of SQLite."""
    allowed = parse_allowed_values(check.sqltext)
    if allowed is None or set(allowed.values) != {0, 1}:
        return False
    column = table.columns.get(allowed.column)
    return column is not None and isinstance(column.type, sa.Boolean)


def _remove_key(table: sa.Table, key: sa.ForeignKeyConstraint) -> None:
    table.constraints.remove(key)
    for element in key.elements:
        table.foreign_keys.discard(element)
        element.parent.foreign_keys.discard(element)


class ViewGenerator(TypeWriter):
    """Writes tables for queries, in a separate MetaData, so that migrations ignore them."""

    def __init__(self, metadata: sa.MetaData, connection: sa.Connection) -> None:
        super().__init__(metadata, connection, ("nosyntheticenums", "nonativeenums"))

    def generate_model_name(self, model: Model, global_names: set[str]) -> None:
        model.name = self.find_free_name(class_words(model.table.name), global_names)


def view_code(connection: sa.Connection, names: Sequence[str]) -> str:
    metadata = sa.MetaData()
    for name in names:
        sa.Table(name, metadata, autoload_with=connection, resolve_fks=False)
    adapt_columns(metadata)
    return ViewGenerator(metadata, connection).generate()


def only_on_postgresql(metadata: sa.MetaData) -> list[str]:
    """Return columns, defaults and constraints that need PostgreSQL, such as `film.rating (tsvector)`."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        reasons = [reason for table in metadata.tables.values() for reason in _reasons(connection, table)]
    engine.dispose()
    return reasons


def _reasons(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    unsupported = [*_unsupported_columns(connection, table)]
    yield from unsupported
    if unsupported:
        return
    copy = table.to_metadata(sa.MetaData())
    copy.constraints -= copy.foreign_key_constraints  # SQLite creates a table before those it refers to
    for column in copy.columns:
        column.default = None  # a sequence
    checks = {item for item in copy.constraints if isinstance(item, sa.CheckConstraint)}
    copy.constraints -= checks
    if cause := _creation_error(connection, copy):
        yield f"{table.name} ({cause})"
        return
    for check in sorted(checks, key=lambda check: str(check.name)):
        copy.constraints.add(check)
        if _creation_error(connection, copy):
            yield f"{table.name} (constraint {check.name})"
        copy.constraints.remove(check)


def _creation_error(connection: sa.Connection, table: sa.Table) -> str | None:
    """Return SQLite's error when it creates the table; None if it succeeds."""
    try:
        table.create(connection)
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        return str(cause).splitlines()[0]
    table.drop(connection)
    return None


def _unsupported_columns(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    for column in table.columns:
        if not _supports_type(column):
            yield f"{table.name}.{column.name} ({type_name(column.type).lower()})"
        elif not _supports_default(connection, column):
            yield f"{table.name}.{column.name} (its default)"


def _supports_type(column: sa.Column[object]) -> bool:
    if isinstance(column.type, NativeType):
        return False
    try:
        column.type.compile(sqlite.dialect())
    except CompileError:
        return False
    return True


def _supports_default(connection: sa.Connection, column: sa.Column[object]) -> bool:
    default = column.server_default
    if not isinstance(default, sa.DefaultClause) or column is column.table.autoincrement_column:
        return True
    try:
        connection.execute(sa.text(escape_parameters(f"SELECT {default.arg}")))
    except SQLAlchemyError:
        return False
    return True
