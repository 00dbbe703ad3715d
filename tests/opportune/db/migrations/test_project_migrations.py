"""The migrations of the project itself, on both kinds of database."""

import asyncio
import io
from collections.abc import Iterable, Sequence

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, PrimaryKeyConstraint, UniqueConstraint, inspect

from opportune.config.project import PROJECT, installed_names
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.migrations.autogenerate import changed_features, comparison_database, draft_migration
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import pending_migrations, pending_migrations_in
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.runner import plan_for, run_migrations
from opportune.db.models.model import Model
from opportune.testing.plugin import settings_for

FEATURES = installed_names()


def tables_in(settings: Settings) -> set[str]:
    with connect(settings) as connection:
        return tables_of(connection)


def tables_of(connection: Connection) -> set[str]:
    with connection.begin():
        names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    return {name for name in names if not is_derived(name)}


def changes_of(settings: Settings) -> list[str]:
    """What the models ask for beyond the database."""
    graph = MigrationGraph(FEATURES)
    with comparison_database(settings, graph) as connection:
        drafts = [
            draft_migration(connection, graph, name, Model.metadata)
            for name in changed_features(connection, graph, FEATURES, Model.metadata)
        ]
    return [str(change) for draft in drafts for change in draft.changes]


def begun(columns: Iterable[Sequence[str]], key: Sequence[str]) -> bool:
    """Whether one of these indexes begins with the columns of a key, in any order."""
    return any(set(index[: len(key)]) == set(key) for index in columns)


def test_every_foreign_key_of_the_models_begins_an_index() -> None:
    """Or a row that goes has the whole table read for each row that refers to it."""
    for table in Model.metadata.sorted_tables:
        unique = [key for key in table.constraints if isinstance(key, PrimaryKeyConstraint | UniqueConstraint)]
        whole = [index for index in table.indexes if not any("where" in name for name in index.kwargs)]
        columns = [tuple(one.columns.keys()) for one in (*unique, *whole)]
        for key in table.foreign_key_constraints:
            assert begun(columns, key.column_keys), f"{key.name}: index=True is missing"


@pytest.mark.database("sqlite")
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_every_foreign_key_of_the_database_begins_an_index(settings: Settings) -> None:
    with connect(settings) as connection:
        there = inspect(connection)
        for table in Model.metadata.tables:
            columns = [there.get_pk_constraint(table)["constrained_columns"]]
            columns += [one["column_names"] for one in there.get_unique_constraints(table)]
            for index in there.get_indexes(table):
                if not any("where" in name for name in index.get("dialect_options", {})):
                    columns.append([name or "" for name in index["column_names"]])
            for key in there.get_foreign_keys(table):
                assert begun(columns, key["constrained_columns"]), (table, key["constrained_columns"])


@pytest.mark.usefixtures("kept_engines")
def test_each_feature_goes_to_zero_and_takes_no_table_of_another_along_and_all_come_back(settings: Settings) -> None:
    """One after another, what others point at after them: going back is read backwards."""
    graph = MigrationGraph(FEATURES)
    before = tables_in(settings)
    with connect(settings) as connection:
        left = before
        for feature in dict.fromkeys(migration.feature for migration in reversed(graph.ordered)):
            run_migrations(connection, graph, plan_for(graph, feature, "zero"))
            left = {name for name in left if not name.startswith(f"{feature}_")}
            assert tables_of(connection) == left, feature
        run_migrations(connection, graph, plan_for(graph))
        assert tables_of(connection) == before
    assert changes_of(settings) == [], (
        "the models ask for nothing more; an index on an expression survives the copy of its table"
    )


@pytest.mark.database("sqlite")
async def test_an_open_database_tells_what_it_lacks(database: Database) -> None:
    assert await pending_migrations_in(database, FEATURES) == []


def test_an_empty_database_lacks_everything(empty_database_url: str) -> None:
    assert pending_migrations(settings_for(empty_database_url), FEATURES) == [
        str(found) for found in MigrationGraph(FEATURES).ordered
    ]


@pytest.mark.database("sqlite")
async def test_alembics_command_and_ours_go_on_where_the_other_stopped_also_inside_a_running_loop(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    settings = settings_for(empty_database_url)
    said = io.StringIO()
    config = Config(PROJECT / "alembic.ini", stdout=said)
    graph = MigrationGraph(FEATURES)
    with connect(settings) as connection:
        run_migrations(connection, graph, plan_for(graph, "accounts"))
    command.upgrade(config, "heads")
    assert pending_migrations(settings, FEATURES) == []
    await asyncio.to_thread(command.current, config)
    assert "(head)" in said.getvalue()
    assert tables_in(settings) == set(Model.metadata.tables)
    with connect(settings) as connection:
        run_migrations(connection, graph, plan_for(graph, "accounts", "zero"))
    assert tables_in(settings)
    command.downgrade(config, "base")
    assert tables_in(settings) == set()


@pytest.mark.database("postgresql")  # SQLite's tables cannot be altered unseen: sqlmigrate does it
def test_alembic_writes_sql_for_a_reader(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    command.upgrade(Config(PROJECT / "alembic.ini"), "heads", sql=True)
    assert "CREATE TABLE accounts_user" in capsys.readouterr().out
