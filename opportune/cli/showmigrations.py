"""`showmigrations`: what there is, and what is applied."""

from typing import Annotated

import typer

from opportune.cli.migrate import tell_of_removed
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import recorded_revisions_of
from opportune.project import installed_names
from opportune.settings import get_settings


def command(feature: Annotated[str | None, typer.Argument(help="Only this feature.")] = None) -> None:
    graph = MigrationGraph(installed_names())
    listed = {name: graph.of(name) for name in ([feature] if feature else graph.features)}
    rows = recorded_revisions_of(get_settings())
    applied = set(graph.applied(rows))
    for name, migrations in listed.items():
        print(name)
        for migration in migrations:
            print(f" [{'X' if migration in applied else ' '}] {migration.name}")
        if not migrations:
            print(" (no migrations)")
    tell_of_removed(graph, rows)
