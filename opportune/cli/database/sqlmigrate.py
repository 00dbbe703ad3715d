"""Print the SQL of a migration."""

from typing import Annotated

import typer

from opportune.config.settings import get_settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.plans import Step
from opportune.db.migrations.safety import find_table_locks
from opportune.db.migrations.sql_script import render_migration_sql
from opportune.db.url.direct import direct_url
from opportune.project.installed import installed_names


def command(
    feature: Annotated[str, typer.Argument(help="Feature of the migration.")],
    migration: Annotated[str, typer.Argument(help="Number or name of the migration.")],
    backwards: Annotated[bool, typer.Option("--backwards", help="Print the SQL that reverses it.")] = False,
) -> None:
    graph = MigrationGraph(installed_names())
    step = Step(graph.find(feature, migration), "downgrade" if backwards else "upgrade")
    database = direct_url(get_settings()).kind
    script = render_migration_sql(graph, step, database)
    if database == "postgresql" and not backwards:
        for lock in find_table_locks([step.migration]):
            print(f"-- {lock}")
    typer.echo(script, nl=False)
