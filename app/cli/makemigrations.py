"""`makemigrations`: write what the models ask for."""

from collections.abc import Sequence
from typing import Annotated

import typer

from app.core.db.migrations.maker import Draft, draft, empty, refuse_strays, up_to_date, write
from app.core.db.migrations.tree import Tree, shown
from app.core.db.model import Model
from app.core.errors import OperatorError
from app.core.settings import Settings, get_settings
from app.installed import NAMES


def command(
    feature: Annotated[str | None, typer.Argument(help="Only this feature.")] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Words for the file's name.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if something is missing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, only say what would be written.")] = False,
    make_empty: Annotated[bool, typer.Option("--empty", help="Write a migration without operations.")] = False,
    allow_drop: Annotated[bool, typer.Option("--allow-drop", help="Let tables be dropped, with their rows.")] = False,
) -> None:
    tree = Tree(NAMES)
    drafts = collect(get_settings(), tree, feature, message, make_empty=make_empty)
    if not allow_drop:
        refuse_drops(drafts)
    if not drafts:
        print("No changes detected")
    for found in drafts:
        path = tree.versions / found.feature / f"{found.name}.py"
        if not (check or dry_run):
            path = write(Tree(NAMES), found)
        print(f"Migrations for '{found.feature}':\n  {shown(path)}")
        for change in found.changes:
            print(f"    {change}")
    if check and drafts:
        raise typer.Exit(1)


def collect(
    settings: Settings, tree: Tree, feature: str | None, message: str | None, *, make_empty: bool
) -> Sequence[Draft]:
    """What is to be written, for one feature or for all.

    Raises:
        OperatorError: no such feature, an empty migration for all of them, or a table that is nobody's.
    """
    if make_empty:
        if feature is None:
            raise OperatorError("--empty wants a feature: python3 oppman.py makemigrations FEATURE --empty")
        return [empty(tree, feature, message)]
    refuse_strays(tree.features, Model.metadata)
    features = [feature] if feature else tree.features
    for name in features:
        tree.newest(name)  # refuses what cannot be added to, before the database is asked
    with up_to_date(settings, tree) as connection:
        drafts = [draft(connection, tree, name, Model.metadata, message) for name in features]
    return [found for found in drafts if found.changes]


def refuse_drops(drafts: Sequence[Draft]) -> None:
    if tables := [table for found in drafts for table in found.dropped_tables]:
        raise OperatorError(
            f"No model stands for {', '.join(tables)} any more: its table and all its rows would be dropped. "
            "If you mean that, add --allow-drop."
        )
