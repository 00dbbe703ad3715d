"""Migrations of the project and the framework."""

import asyncio
import io
from collections.abc import Iterable, Sequence

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect

from opportune.config import PROJECT, Settings
from opportune.db.migrations.autogenerate import ModelComparison, comparison_database
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.db.migrations.plans import plan_migrations
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.runner import run_migrations
from opportune.db.models.model import Model
from opportune.project.installed import installed_names
from opportune.testing.plugin import settings_for

FEATURES = installed_names()


def read_tables_of_site(settings: Settings) -> set[str]:
    with connect(settings) as connection:
        return read_tables(connection)


def read_tables(connection: Connection) -> set[str]:
    with connection.begin():
        names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    return {name for name in names if not is_derived(name)}


def find_changes(settings: Settings) -> list[str]:
    graph = MigrationGraph(FEATURES)
    with comparison_database(settings, graph) as connection:
        comparison = ModelComparison(connection, graph, Model.metadata)
        drafts = [comparison.draft(name) for name in comparison.find_changed_features(FEATURES)]
    return [str(change) for draft in drafts for change in draft.changes]


def is_indexed(columns: Iterable[Sequence[str]], key: Sequence[str]) -> bool:
    """Return whether an index starts with the columns of a key, in any order. Else deletions scan the table."""
    return any(set(index[: len(key)]) == set(key) for index in columns)


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_database_foreign_keys_are_indexed(settings: Settings) -> None:
    with connect(settings) as connection:
        inspector = inspect(connection)
        for table in Model.metadata.tables:
            columns = [inspector.get_pk_constraint(table)["constrained_columns"]]
            columns += [rule["column_names"] for rule in inspector.get_unique_constraints(table)]
            for index in inspector.get_indexes(table):
                if not any("where" in name for name in index.get("dialect_options", {})):
                    columns.append([name or "" for name in index["column_names"]])
            for key in inspector.get_foreign_keys(table):
                assert is_indexed(columns, key["constrained_columns"]), (table, key["constrained_columns"])


@pytest.mark.database("sqlite", "postgresql")
def test_each_feature_can_be_reverted_and_applied_again(settings: Settings) -> None:
    graph = MigrationGraph(FEATURES)
    before = read_tables_of_site(settings)
    with connect(settings) as connection:
        remaining = before
        for feature in dict.fromkeys(migration.feature for migration in reversed(graph.ordered)):
            run_migrations(connection, graph, plan_migrations(graph, feature, "zero"))
            remaining = {name for name in remaining if not name.startswith(f"{feature}_")}
            assert read_tables(connection) == remaining, feature
        run_migrations(connection, graph)
        assert read_tables(connection) == before
    assert find_changes(settings) == []


async def test_alembic_continues_our_migrations(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    settings = settings_for(empty_database_url)
    output = io.StringIO()
    config = Config(PROJECT / "alembic.ini", stdout=output)
    graph = MigrationGraph(FEATURES)
    with connect(settings) as connection:
        run_migrations(connection, graph, plan_migrations(graph, "accounts"))
    command.upgrade(config, "heads")
    assert graph.pending(read_revisions_of_site(settings)) == []
    await asyncio.to_thread(command.current, config)
    assert "(head)" in output.getvalue()
    assert read_tables_of_site(settings) == set(Model.metadata.tables)
    with connect(settings) as connection:
        run_migrations(connection, graph, plan_migrations(graph, "accounts", "zero"))
    assert read_tables_of_site(settings)
    command.downgrade(config, "base")
    assert read_tables_of_site(settings) == set()


def test_alembic_check_finds_no_changes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    command.check(Config(PROJECT / "alembic.ini", stdout=io.StringIO()))  # raises if it finds any
