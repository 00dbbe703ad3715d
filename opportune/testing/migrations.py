"""Migrations of test databases."""

from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import plan_migrations, run_migrations
from opportune.project.layout import installed_names
from opportune.testing.plugin import settings_for
from opportune.testing.unmigrated import require_migrations


def migrate(database_url: str) -> None:
    """Apply the migrations of the installed features."""
    graph = MigrationGraph(installed_names())
    with connect(settings_for(database_url)) as connection:
        run_migrations(connection, graph, plan_migrations(graph))
        require_migrations(connection, graph.features)
