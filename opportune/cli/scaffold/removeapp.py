"""Delete a feature.

Deletes its folders and its lines in installed.py, .env.example and the docs. Fails if other code uses the feature.
"""

from collections.abc import Iterable
from typing import Annotated

import typer

from opportune.cli.database.migrate import command as migrate
from opportune.cli.options import NoInput
from opportune.cli.output import say
from opportune.cli.scaffold.packages.removal import removal_of
from opportune.config.project import PROJECT, installed_features
from opportune.config.settings import get_settings
from opportune.db.migrations.graph import feature_of_revision
from opportune.db.migrations.history import read_revisions_of_site
from opportune.errors import OperatorError


def command(
    name: Annotated[str, typer.Argument(help="Name of the feature, as in app/installed.py.")],
    yes: NoInput = False,
    drop_tables: Annotated[
        bool | None,
        typer.Option("--drop-tables/--keep-tables", help="Drop its tables. [default: ask; keep with --yes]"),
    ] = None,
) -> None:
    removal = removal_of(name, PROJECT)
    removal.check()
    tables = tables_of(name) if drop_tables is not False else []
    confirm_deletion(name, removal.summary(), yes=yes)
    if tables and (drop_tables or (not yes and typer.confirm(f"Drop its tables with all rows ({', '.join(tables)})?"))):
        drop(name)
    elif tables:
        print(f"Tables kept in the database: {', '.join(tables)}.")
    removal.apply()
    say(f"Deleted {name}.")
    for line in removal.leftovers():
        print(f"  {line}")


def confirm_deletion(name: str, summary: Iterable[str], *, yes: bool) -> None:
    """Print what will be deleted and ask for confirmation, unless `yes` is set."""
    output = say if yes else print  # --quiet must not hide the subject of a question
    output(f"Deleting {name} removes:")
    for line in summary:
        output(f"  {line}")
    if not yes:
        typer.confirm("Delete it? Files that are not in git cannot be restored.", abort=True)


def tables_of(name: str) -> list[str]:
    """Return the tables of a feature that exist in the database.

    Raises:
        OperatorError: the database is not available.
    """
    try:
        models = [model for feature in installed_features() if feature.name == name for model in feature.models]
        if name not in map(feature_of_revision, read_revisions_of_site(get_settings())):
            return []
    except OperatorError as error:
        raise OperatorError(f"{error} To delete only the code, add --keep-tables.") from error
    return [str(model.__tablename__) for model in models]


def drop(name: str) -> None:
    """Reverse the migrations of a feature, newest first."""
    migrate(name, "zero")
