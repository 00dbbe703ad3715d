"""`sqlmigrate`: the SQL of a migration, for those who look first or apply it by hand."""

from typing import Annotated

import typer

from app.core.db.migrations.connection import migration_url
from app.core.db.migrations.runner import Step
from app.core.db.migrations.script import script
from app.core.db.migrations.tree import Tree
from app.core.settings import get_settings
from app.installed import NAMES


def command(
    feature: Annotated[str, typer.Argument(help="Whose migration.")],
    migration: Annotated[str, typer.Argument(help="Its number or name.")],
    backwards: Annotated[bool, typer.Option("--backwards", help="The SQL that takes it back.")] = False,
) -> None:
    tree = Tree(NAMES)
    step = Step(tree.find(feature, migration), "downgrade" if backwards else "upgrade")
    typer.echo(script(tree, step, migration_url(get_settings()).kind), nl=False)
