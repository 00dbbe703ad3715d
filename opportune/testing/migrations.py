"""Migrations of test databases, and the check that no model lacks one."""

from collections.abc import Collection, Iterator

import pytest
from sqlalchemy import Connection, Table, inspect

from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.feature import Feature
from opportune.project.layout import installed_features, installed_names
from opportune.testing.plugin import settings_for


def migrate(database_url: str) -> None:
    """Apply the migrations of the installed features."""
    from opportune.db.migrations.runner import run_migrations

    graph = MigrationGraph(installed_names())
    with connect(settings_for(database_url)) as connection:
        run_migrations(connection, graph)
        require_migrations(connection, graph.features)


def require_migrations(connection: Connection, names: Collection[str]) -> None:
    """Fail once, instead of in each test, if migrations of these features lack a table or column of their models."""
    tables = inspect(connection).get_multi_columns()
    columns = {name: {column["name"] for column in table} for (_, name), table in tables.items()}
    for feature in installed_features():
        if feature.name in names and (missing := ", ".join(_missing_objects(feature, columns))):
            pytest.fail(
                f"No migration creates {missing}. Run python3 oppman.py makemigrations {feature.name}.", pytrace=False
            )


def _missing_objects(feature: Feature, columns: dict[str, set[str]]) -> Iterator[str]:
    for model in feature.models:
        table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel's tables have it
        if table.name not in columns:
            yield f"the table {table.name}"
        else:
            missing = (column.name for column in table.columns if column.name not in columns[table.name])
            yield from (f"the column {table.name}.{name}" for name in missing)
