"""`showmigrations`: what there is, and what is applied."""

from typing import Annotated

import typer

from app.cli.migrate import tell_of_removed
from app.core.db.migrations.state import recorded_in
from app.core.db.migrations.tree import Tree
from app.core.settings import get_settings
from app.installed import NAMES


def command(feature: Annotated[str | None, typer.Argument(help="Only this feature.")] = None) -> None:
    tree = Tree(NAMES)
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
