"""Take a model out of a feature, with a migration.

Removes its class, tests and templates, and writes a migration that drops its table. Other lines of the feature that
name it are listed, for you to remove. A model that other code needs stays.
"""

from typing import Annotated

import typer

from opportune.cli.options import NoInput
from opportune.cli.output import say
from opportune.cli.scaffold.file_changes import written
from opportune.cli.scaffold.installed import INSTALLED
from opportune.cli.scaffold.migration import draft_drop, feature_names
from opportune.cli.scaffold.removing import ModelRemoval, plan_removal
from opportune.config.project import PROJECT
from opportune.db.migrations.autogenerate import write_migration
from opportune.db.migrations.graph import MigrationGraph


def command(
    feature: Annotated[str, typer.Argument(help="The feature of the model.")],
    name: Annotated[str, typer.Argument(help="Its class in models.py, such as Book.")],
    yes: NoInput = False,
) -> None:
    removal = plan_removal(PROJECT, feature, name)
    tell = say if yes else print  # what a question is about is always told
    tell(f"This goes with {name}:")
    for line in removal.summary():
        tell(f"  {line}")
    if not yes and not typer.confirm("Remove it? What git does not have cannot be brought back."):
        raise typer.Abort
    carry_out(removal)
    say(f"{name} is out of app/{feature}/models.py.")
    if places := list(removal.leftovers()):
        print("Remove these lines too, or what defines them:")
        for place in places:
            print(f"  {place}")
    say("Next:")
    say("  python3 oppman.py migrate")


def carry_out(removal: ModelRemoval) -> None:
    """Change and delete the files, and write the migration, all or nothing."""
    graph = MigrationGraph(feature_names((removal.project / INSTALLED).read_text(encoding="utf-8")))
    feature, file = removal.model.feature, removal.model.file
    migration = draft_drop(feature, file.read_text(encoding="utf-8"), file, removal.tables, graph)
    with written(removal.texts, graph.folder(feature), gone=removal.gone):
        write_migration(graph, migration)
