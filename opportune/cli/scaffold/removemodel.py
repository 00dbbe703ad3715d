"""Remove a model from a feature.

Removes its class, tests and templates, writes a migration that drops its table, and lists other lines of the feature
that name it, for you to remove. Fails if other code needs the model.
"""

from typing import Annotated

import typer

from opportune.cli.options import NoInput
from opportune.cli.output import say
from opportune.cli.scaffold.file_changes import write_files
from opportune.cli.scaffold.installed import INSTALLED
from opportune.cli.scaffold.migration import draft_drop, feature_names
from opportune.cli.scaffold.model_removal import ModelRemoval, plan_removal
from opportune.cli.scaffold.removeapp import confirm_deletion
from opportune.config.project import PROJECT
from opportune.db.migrations.autogenerate import write_migration
from opportune.db.migrations.graph import MigrationGraph


def command(
    feature: Annotated[str, typer.Argument(help="Feature of the model.")],
    name: Annotated[str, typer.Argument(help="Class in models.py, such as Book.")],
    yes: NoInput = False,
) -> None:
    removal = plan_removal(PROJECT, feature, name)
    confirm_deletion(name, removal.summary(), yes=yes)
    apply_removal(removal)
    say(f"Removed {name} from app/{feature}/models.py.")
    if lines := list(removal.leftovers()):
        print("Also remove the code at these lines:")
        for line in lines:
            print(f"  {line}")
    say("Next:")
    for step in ("migrate", "test --accept-access"):
        say(f"  python3 oppman.py {step}")


def apply_removal(removal: ModelRemoval) -> None:
    """Change and delete the files and write the migration, all or none."""
    graph = MigrationGraph(feature_names((removal.project / INSTALLED).read_text(encoding="utf-8")))
    feature, file = removal.model.feature, removal.model.file
    migration = draft_drop(feature, file.read_text(encoding="utf-8"), file, removal.tables, graph)
    with write_files(removal.new_texts, graph.folder(feature), removal.deleted_files):
        write_migration(graph, migration)
