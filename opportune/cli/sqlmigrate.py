"""`sqlmigrate`: the SQL of a migration, for those who look first or apply it by hand."""

from typing import Annotated

import typer

from opportune.db.migrations.connection import migration_url
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import Step
from opportune.db.migrations.sql_script import migration_sql
from opportune.project import installed_names
from opportune.settings import get_settings


def command(
    feature: Annotated[str, typer.Argument(help="Whose migration.")],
    migration: Annotated[str, typer.Argument(help="Its number or name.")],
    backwards: Annotated[bool, typer.Option("--backwards", help="The SQL that takes it back.")] = False,
) -> None:
    graph = MigrationGraph(installed_names())
    step = Step(graph.find(feature, migration), "downgrade" if backwards else "upgrade")
    typer.echo(migration_sql(graph, step, migration_url(get_settings()).kind), nl=False)
