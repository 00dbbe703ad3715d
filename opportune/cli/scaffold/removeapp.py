"""Delete a feature with everything that is its own.

That is its folders, and its lines in installed.py, .env.example and the docs. A feature that other code uses stays.
"""

from typing import Annotated

import typer

from opportune.cli.database.migrate import command as migrate
from opportune.cli.options import NoInput
from opportune.cli.output import say
from opportune.cli.scaffold.removal import Removal
from opportune.config.project import PROJECT, installed_features
from opportune.config.settings import get_settings
from opportune.db.migrations.graph import feature_of_revision
from opportune.db.migrations.history import recorded_revisions_of
from opportune.errors import OperatorError


def command(
    name: Annotated[str, typer.Argument(help="Its name, as in app/installed.py.")],
    yes: NoInput = False,
    drop_tables: Annotated[
        bool | None,
        typer.Option("--drop-tables/--keep-tables", help="Whether its rows go too. [default: ask; with --yes keep]"),
    ] = None,
) -> None:
    removal = Removal(name, PROJECT)
    removal.refuse()
    tables = tables_of(name) if drop_tables is not False else []
    tell = say if yes else print  # what a question is about is always told
    tell(f"This goes with {name}:")
    for line in removal.summary():
        tell(f"  {line}")
    if not yes and not typer.confirm("Delete it? What git does not have cannot be brought back."):
        raise typer.Abort
    if tables and (drop_tables or (not yes and typer.confirm(f"Drop its tables with all rows ({', '.join(tables)})?"))):
        drop(name)
    elif tables:
        print(f"These tables stay in the database: {', '.join(tables)}.")
    removal.carry_out()
    say(f"{name} is deleted.")
    for line in removal.leftovers():
        print(f"  {line}")


def tables_of(name: str) -> list[str]:
    """Its tables in the database that the settings name.

    Raises:
        OperatorError: the database cannot be asked.
    """
    try:
        models = [model for feature in installed_features() if feature.name == name for model in feature.models]
        if name not in map(feature_of_revision, recorded_revisions_of(get_settings())):
            return []
    except OperatorError as error:
        raise OperatorError(f"{error} To delete the code alone: --keep-tables.") from error
    return [str(model.__tablename__) for model in models]


def drop(name: str) -> None:
    """Take its migrations back, the newest first."""
    migrate(name, "zero")
