"""Owners of tables, by models and migrations. Names of tables decide nothing: other programs may share the database."""

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.operations import ops
from sqlalchemy import Connection, Constraint, MetaData, Table, inspect, text
from sqlalchemy.sql.elements import conv

from opportune.db.migrations.graph import MigrationGraph, framework_folder
from opportune.db.migrations.history import VERSION_TABLE, read_revisions
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.recording import record_with_queries
from opportune.db.models.foreign_keys import refuse_wrong_keys
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.project.installed import adopted_tables, feature_of_table, installed_features
from opportune.project.layout import PACKAGE, feature_module

CHANGES_TABLES = re.compile(r"create_table|drop_table|rename_table|\bTABLE\b", re.IGNORECASE)
IDENTIFIER = r"""(?:[\w$]+\s*\.\s*|"[^"]+"\s*\.\s*)?(?:["`\[](?P<{0}quoted>[^"`\]]+)["`\]]|(?P<{0}plain>[\w$]+))"""
TABLE_STATEMENT = re.compile(
    rf"""
    (?P<verb>CREATE|DROP|ALTER) \s+ (?:UNLOGGED\s+)? TABLE \s+ (?:IF\s+(?:NOT\s+)?EXISTS\s+)? (?:ONLY\s+)?
    {IDENTIFIER.format("")} (?: \s+RENAME\s+TO\s+ {IDENTIFIER.format("new_")} )?
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Partitions and inheriting tables hold rows of their parents.
CHILD_TABLES = text(Path(__file__).with_name("child_tables.sql").read_text(encoding="utf-8"))


@dataclass
class TableOwners:
    """Features that own tables, as far as migrations were applied to it."""

    models: Mapping[str, str]
    """Features by table of a model."""
    created: dict[str, str] = field(default_factory=dict)
    """Features whose migrations created a table with its model, which may be removed or moved since."""
    written: dict[str, str] = field(default_factory=dict)
    """Features whose migrations created a table in their own code."""

    def feature_of(self, table: str | None) -> str | None:
        """Return the feature that has, or had, a model of this table."""
        return self.models.get(table or "") or self.created.get(table or "")

    @property
    def tables(self) -> set[str]:
        return {*self.models, *self.created, *self.written}

    def apply(self, migration: Migration, dialect_name: str) -> None:
        """Follow the tables that a migration creates, renames and drops."""
        if CHANGES_TABLES.search(migration.path.read_text(encoding="utf-8")):
            for operation in record_with_queries(migration, dialect_name):
                self._apply_operation(operation, migration.feature, dialect_name)

    def _apply_operation(self, operation: ops.MigrateOperation, feature: str, dialect_name: str) -> None:
        match operation:
            case ops.CreateTableOp(table_name=name, schema=None):
                owners = self.created if _is_generated(operation) or name in self.models else self.written
                owners[name] = feature
            case ops.DropTableOp(table_name=name):
                self._drop(name)
            case ops.RenameTableOp(table_name=old, new_table_name=new):
                self._rename(old, new)
            case ops.ExecuteSQLOp(sqltext=statement):
                self._apply_sql(str(statement), feature, dialect_name)

    def _apply_sql(self, sql: str, feature: str, dialect_name: str) -> None:
        for match in TABLE_STATEMENT.finditer(sql):
            name = _table_name(match, "", dialect_name)
            new_name = _table_name(match, "new_", dialect_name)
            verb = match["verb"].upper()
            if verb == "CREATE" and name not in self.created:
                self.written[name] = feature
            elif verb == "DROP":
                self._drop(name)
            elif new_name:
                self._rename(name, new_name)

    def _drop(self, name: str) -> None:
        self.created.pop(name, None)
        self.written.pop(name, None)

    def _rename(self, old: str, new: str) -> None:
        for owners in (self.created, self.written):
            if old in owners:
                owners[new] = owners.pop(old)


def read_owners(
    graph: MigrationGraph,
    metadata: MetaData,
    dialect_name: str = "sqlite",
    migrations: Iterable[Migration] | None = None,
) -> TableOwners:
    """Return the owners of tables by models, and by these migrations or all."""
    owners = TableOwners(owners_of_models(metadata, graph.features))
    for migration in graph.ordered if migrations is None else migrations:
        owners.apply(migration, dialect_name)
    return owners


def owners_of_models(metadata: MetaData, features: Collection[str]) -> dict[str, str]:
    """Return the features of the models' tables: by their lists of models, their modules, or the naming convention."""
    names = list(features)
    defined = _tables_in_modules(names)
    owners: dict[str, str] = {}
    for name in metadata.tables:
        candidates = (adopted_tables.get(name), defined.get(name), feature_of_table(name, names))
        if owner := next((candidate for candidate in candidates if candidate in names), None):
            owners[name] = owner
    return owners


def refuse_unowned_tables(features: Sequence[str], metadata: MetaData) -> None:
    """Refuse tables that no feature would migrate, and foreign keys to tables that do not exist."""
    if in_schema := next((table for table in metadata.tables.values() if table.schema), None):
        raise OperatorError(
            f"The table {in_schema.fullname} names a schema. Migrations, backups and copies only handle tables in the "
            "schema of the connection: remove the schema from its model, and set the search_path of the user."
        )
    owners = owners_of_models(metadata, features)
    if unowned := [name for name in metadata.tables if name not in owners]:
        owner = unowned[0].partition("_")[0]
        if framework_folder(owner):
            raise OperatorError(
                f"An installed feature needs {owner}. In {PACKAGE}/installed.py, import it with "
                f"`from opportune.features import {owner}` and add it to INSTALLED."
            )
        raise OperatorError(
            f"No feature owns the table '{unowned[0]}'. Start its __tablename__ with the name of an installed feature, "
            f"such as '{features[-1]}_{unowned[0]}', or, if it already existed, set "
            "data=Data(adopts_tables=True) in its Feature."
        )
    refuse_wrong_keys(metadata)


def find_unmigrated_models() -> Iterator[str]:
    """Yield one line for each model of the project outside of `opportune.db`, for which makemigrations does nothing."""
    adopted: set[Any] = set()
    models: list[Any] = []
    for feature in installed_features():
        models += feature.models
        if feature.data.adopts_tables:
            adopted.update(feature.models)
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{PACKAGE}."):
            models += [value for value in vars(module).values() if _table_of_class(value, name) is not None]
    for model in dict.fromkeys(models):
        if model not in adopted and model.metadata is not Model.metadata:
            problem = f"{model.__module__.replace('.', '/')}.py: {model.__name__} gets no migrations."
            yield f"{problem} Extend Model of opportune.db: class {model.__name__}(Model, table=True)."


def find_site_tables(connection: Connection, owners: TableOwners) -> list[str]:
    """Return the existing tables of features with their partitions, and the version table."""
    owned = {*owners.tables, VERSION_TABLE.name}
    return sorted((_existing_tables(connection) & owned) | find_child_tables(connection, owned))


def find_other_tables(connection: Connection, owners: TableOwners) -> list[str]:
    """Return the existing tables that no feature owns, without those of search indexes and Litestream."""
    other = _existing_tables(connection) - {*find_site_tables(connection, owners)}
    return sorted(name for name in other if not is_derived(name))


def find_missing_tables(connection: Connection, owners: TableOwners) -> list[str]:
    """Return the tables that migrations have created and the schema does not contain."""
    return sorted({*owners.created, *owners.written} - _existing_tables(connection))


def _existing_tables(connection: Connection) -> set[str]:
    """Return the tables of the connection's schema, not of others in the search path."""
    inspector = inspect(connection)
    return {*inspector.get_table_names(inspector.default_schema_name)}


def find_child_tables(connection: Connection, parents: Collection[str]) -> set[str]:
    """Return the partitions of these tables and the tables that inherit from them."""
    if connection.dialect.name != "postgresql":
        return set()
    return {child for child, parent in connection.execute(CHILD_TABLES) if parent in parents}


def read_applied_owners(
    connection: Connection, graph: MigrationGraph, metadata: MetaData = Model.metadata
) -> TableOwners:
    """Return the owners of tables by models and by the migrations that this database has applied."""
    applied = graph.applied(read_revisions(connection))
    return read_owners(graph, metadata, connection.dialect.name, applied)


def _is_generated(operation: ops.CreateTableOp) -> bool:
    """Return whether `makemigrations` wrote the operation: it marks names of the models' convention with `op.f`."""
    constraints = (item for item in operation.columns if isinstance(item, Constraint))
    return any(isinstance(constraint.name, conv) for constraint in constraints)


def _table_name(match: re.Match[str], prefix: str, dialect_name: str) -> str:
    plain_name = match[f"{prefix}plain"] or ""
    return match[f"{prefix}quoted"] or (plain_name.lower() if dialect_name == "postgresql" else plain_name)


def _tables_in_modules(features: Iterable[str]) -> dict[str, str]:
    """Return the features by table of the project's modules, also of link tables that no feature lists."""
    packages = {feature_module(feature): feature for feature in features}
    owners: dict[str, str] = {}
    for module_name, module in list(sys.modules.items()):
        package, *inner = module_name.split(".")
        feature = packages.get(package) or packages.get(".".join([package, *inner[:1]]))
        if feature is None:
            continue
        for value in vars(module).values():
            table = value if isinstance(value, Table) else _table_of_class(value, module_name)
            if table is not None:
                owners.setdefault(table.name, feature)
    return owners


def _table_of_class(value: object, module_name: str) -> Table | None:
    """Return the table of a model that this module defines. Other modules may import it."""
    table = getattr(value, "__table__", None) if isinstance(value, type) else None
    return table if isinstance(table, Table) and getattr(value, "__module__", "") == module_name else None
