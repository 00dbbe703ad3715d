"""`sqlmigrate`: the SQL of a migration, for those who look first or apply it by hand."""

from typing import Annotated

import typer

from opportune.db.migrations.connection import migration_url
from opportune.db.migrations.graph import Tree
from opportune.db.migrations.runner import Step
from opportune.db.migrations.script import script
from opportune.project import installed_names
from opportune.settings import get_settings


def command(
    feature: Annotated[str, typer.Argument(help="Whose migration.")],
    migration: Annotated[str, typer.Argument(help="Its number or name.")],
    backwards: Annotated[bool, typer.Option("--backwards", help="The SQL that takes it back.")] = False,
) -> None:
    tree = Tree(installed_names())
    step = Step(tree.find(feature, migration), "downgrade" if backwards else "upgrade")
    typer.echo(script(tree, step, migration_url(get_settings()).kind), nl=False)
