"""`showmigrations`: what there is, and what is applied."""

from typing import Annotated

import typer

from opportune.cli.migrate import tell_of_removed
from opportune.db.migrations.graph import Tree
from opportune.db.migrations.history import recorded_in
from opportune.project import installed_names
from opportune.settings import get_settings


def command(feature: Annotated[str | None, typer.Argument(help="Only this feature.")] = None) -> None:
    tree = Tree(installed_names())
    listed = {name: tree.of(name) for name in ([feature] if feature else tree.features)}
    rows = recorded_in(get_settings())
    applied = set(tree.applied(rows))
    for name, migrations in listed.items():
        print(name)
        for migration in migrations:
            print(f" [{'X' if migration in applied else ' '}] {migration.name}")
        if not migrations:
            print(" (no migrations)")
    tell_of_removed(tree, rows)
