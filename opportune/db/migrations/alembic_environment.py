"""Environment of Alembic's own command, which `migrations/env.py` runs.

It is synchronous, so it works in a shell and inside a running event loop.
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from opportune.config.settings import load_settings
from opportune.db.migrations.autogenerate import comparison_options
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import as_alembic_records
from opportune.db.migrations.options import keep_transaction
from opportune.db.migrations.ownership import read_owners
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.db.migrations.rendering import render_item
from opportune.db.models.foreign_keys import break_cycles
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url
from opportune.project.installed import installed_names  # importing the features also fills Model.metadata


def run() -> None:
    """Run the command of Alembic with the migrations of the installed features."""
    graph = MigrationGraph(installed_names())
    # alembic.ini names the folders of all features.
    context.script.version_locations = [str(graph.folder(feature)) for feature in graph.features]
    break_cycles(Model.metadata)
    if context.is_offline_mode():
        url = direct_url(load_settings()).sync_url
        _configure(graph, url=url, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    with connect(load_settings()) as connection, ignore_reflection_warnings():
        _migrate(connection, graph)


def _migrate(connection: Connection, graph: MigrationGraph) -> None:
    with as_alembic_records(connection, graph):
        connection.rollback()  # reading has begun a transaction, which Alembic would not end
        _configure(graph, connection=connection, transaction_per_migration=True)
        if connection.dialect.name == "sqlite":
            keep_transaction(context.get_context())
        with context.begin_transaction():
            context.run_migrations()


def _configure(graph: MigrationGraph, **options: Any) -> None:
    # `alembic revision --autogenerate --head books@head` writes the changes of one feature.
    feature, _, _ = str(getattr(context.config.cmd_opts, "head", "")).partition("@")
    features = [feature] if feature in graph.features else graph.features
    owners = read_owners(graph, Model.metadata, direct_url(load_settings()).kind)
    context.configure(
        target_metadata=Model.metadata,
        render_item=lambda type_, item, autogenerate: render_item(autogenerate.imports, type_, item, autogenerate),
        **comparison_options(graph, features, owners),
        **options,
    )
