"""Replace all migrations of a feature by one.

The new migration is generated from the models. It changes nothing in databases that have all of the old ones, so
migrate every database first.
"""

from typing import Annotated

import typer

from opportune.cli.database.makemigrations import draft_migrations
from opportune.cli.options import NoInput, confirm
from opportune.cli.output import say, warn
from opportune.config.settings import get_settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.squashing import plan_squash, write_squash
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.plurals import pluralize
from opportune.project.installed import installed_names
from opportune.project.layout import display_path


def command(feature: Annotated[str, typer.Argument(help="Feature of the migrations.")], yes: NoInput = False) -> None:
    graph = MigrationGraph(installed_names())
    if draft_migrations(get_settings(), graph, feature):
        raise OperatorError(f"The models of {feature} have changes without migrations. Run makemigrations first.")
    squash = plan_squash(graph, feature, Model.metadata)
    print("Will squash the following migrations:")
    for migration in squash.migrations:
        print(f" - {migration.name}")
    for migration in squash.migrations_with_code:
        warn(f"Notice: {migration.name} runs code or SQL on rows. New databases will not have its changes.")
    if not yes:
        confirm("Squashing", "Are they applied to every database, and are the files in git?")
    dependents = write_squash(graph, squash, Model.metadata)
    say(f"Created {display_path(squash.path)}, which replaces {pluralize(len(squash.migrations), 'file')}.")
    for path in dependents:
        say(f"Changed {display_path(path)} to depend on it.")
    say("Databases with only some of these migrations are refused. Migrate them with the previous code first.")
