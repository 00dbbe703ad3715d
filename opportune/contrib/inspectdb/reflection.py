"""Reflected tables of an existing database, prepared for models."""

from collections.abc import Collection, Sequence

from sqlacodegen.models import Model
from sqlalchemy import Boolean, CheckConstraint, Connection, ForeignKeyConstraint, MetaData, PrimaryKeyConstraint, Table

from opportune.contrib.inspectdb.models import ModelGenerator
from opportune.contrib.inspectdb.names import class_words
from opportune.contrib.inspectdb.portability import only_on_postgresql
from opportune.contrib.inspectdb.types import TypeWriter, adapt_columns
from opportune.db.migrations.create_statements import parse_allowed_values
from opportune.db.migrations.postgresql import complete_indexes
from opportune.db.models.foreign_keys import break_cycles
from opportune.db.models.model import NAMING_CONVENTION

CONVENTION = {type_: pattern for type_, pattern in NAMING_CONVENTION.items() if type_ != "ck"}
"""Naming convention without CHECK constraints, because existing ones may have no name."""
MAX_NAME_BYTES = 63
"""Longest name that PostgreSQL allows."""


class InspectedTables:
    """Tables for which models are written."""

    def __init__(self, connection: Connection, tables: Sequence[str], targets: Collection[str]) -> None:
        """Reflect tables. Foreign keys are removed, unless they refer to one of `tables` or `targets`."""
        self.connection = connection
        self.metadata = MetaData(naming_convention=CONVENTION)
        self.omitted_keys: list[str] = []
        """Removed foreign keys, such as `booking.ledger_id`."""
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
            "Omitted the invalid default '0000-00-00' of": self.zero_dates,
            "Names longer than the 63 bytes that PostgreSQL allows:": self.long_names,
        }
        return [f"{notice} {', '.join(names)}." for notice, names in names_by_notice.items() if names]

    def code(self) -> str:
        return ModelGenerator(self.metadata, self.connection).generate()

    def only_on_postgresql(self) -> list[str]:
        return only_on_postgresql(self.metadata) if self.connection.dialect.name == "postgresql" else []

    def _prepare(self, table: Table, kept_tables: Collection[str]) -> None:
        """Remove names of keys and constraints that models cannot have."""
        is_sqlite = self.connection.dialect.name == "sqlite"
        for constraint in [*table.constraints]:
            if isinstance(constraint, (ForeignKeyConstraint, PrimaryKeyConstraint)):
                constraint.name = None  # Alembic does not compare them by name
            if isinstance(constraint, ForeignKeyConstraint) and constraint.referred_table.key not in kept_tables:
                self.omitted_keys.append(f"{table.name}.{', '.join(constraint.column_keys)}")
                _remove_key(table, constraint)
            if is_sqlite and isinstance(constraint, CheckConstraint) and _allows_both_booleans(table, constraint):
                table.constraints.remove(constraint)  # PostgreSQL cannot compare a boolean with 0 and 1


def _find_long_names(table: Table) -> list[str]:
    parts = [table, *table.columns, *table.indexes, *table.constraints]
    names = [str(part.name) for part in parts if part.name]
    return [name for name in names if len(name.encode()) > MAX_NAME_BYTES]


def _allows_both_booleans(table: Table, check: CheckConstraint) -> bool:
    """Return whether a check, such as `is_out IN (0, 1)`, adds nothing to a BOOLEAN column of SQLite."""
    allowed = parse_allowed_values(check.sqltext)
    if allowed is None or set(allowed.values) != {0, 1}:
        return False
    column = table.columns.get(allowed.column)
    return column is not None and isinstance(column.type, Boolean)


def _remove_key(table: Table, key: ForeignKeyConstraint) -> None:
    table.constraints.remove(key)
    for element in key.elements:
        table.foreign_keys.discard(element)
        element.parent.foreign_keys.discard(element)


class ViewGenerator(TypeWriter):
    """Writes tables for queries, in a separate MetaData, so that migrations ignore them."""

    def __init__(self, metadata: MetaData, connection: Connection) -> None:
        super().__init__(metadata, connection, ("nosyntheticenums", "nonativeenums"))

    def generate_model_name(self, model: Model, global_names: set[str]) -> None:
        model.name = self.find_free_name(class_words(model.table.name), global_names)


def view_code(connection: Connection, names: Sequence[str]) -> str:
    metadata = MetaData()
    for name in names:
        Table(name, metadata, autoload_with=connection, resolve_fks=False)
    adapt_columns(metadata)
    return ViewGenerator(metadata, connection).generate()
