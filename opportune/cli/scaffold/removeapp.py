"""Delete a feature.

Deletes its folders and its lines in installed.py, .env.example and the docs. Fails if other code uses the feature.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from packaging.utils import canonicalize_name

from opportune.cli.database.migrate import command as migrate
from opportune.cli.environment.installation import InstallError
from opportune.cli.environment.locks import BASE
from opportune.cli.environment.virtual_environment import uninstall
from opportune.cli.options import NoInput
from opportune.cli.output import say
from opportune.cli.project.shared_files import VENDOR
from opportune.cli.scaffold.feature_removal import FeatureRemoval
from opportune.cli.scaffold.installed import one_at_a_time
from opportune.cli.scaffold.packages import GROUP, without_dependency, without_pin
from opportune.config.settings import get_settings
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph, feature_of_revision
from opportune.db.migrations.history import read_revisions_of_site
from opportune.db.migrations.ownership import find_site_tables, read_applied_owners
from opportune.errors import OperatorError
from opportune.project.feature_packages import feature_packages
from opportune.project.installed import installed_names
from opportune.project.layout import PROJECT


def command(
    name: Annotated[str, typer.Argument(help="Name of the feature, as in app/installed.py.")],
    yes: NoInput = False,
    drop_tables: Annotated[
        bool | None,
        typer.Option("--drop-tables/--keep-tables", help="Drop its tables. [default: ask; keep with --yes]"),
    ] = None,
) -> None:
    with one_at_a_time(PROJECT):
        removal_class = PackageRemoval if name in feature_packages() else FeatureRemoval
        removal = removal_class(name, PROJECT)
        removal.check()
        tables = tables_of(name) if drop_tables is not False else []
        _confirm_deletion(name, removal.summary(), yes=yes)
        if tables and drop_tables is None and not yes:
            drop_tables = typer.confirm(f"Drop its tables with all rows ({', '.join(tables)})?")
        if tables and drop_tables:
            migrate(name, "zero")
        elif tables:
            print(f"Tables kept in the database: {', '.join(tables)}.")
        removal.apply()
    say(f"Deleted {name}.")
    for line in removal.leftovers():
        print(f"  {line}")


def _confirm_deletion(name: str, summary: Iterable[str], *, yes: bool) -> None:
    """Print what will be deleted and ask for confirmation, unless `yes` is set."""
    output = say if yes else print  # --quiet must not hide the subject of a question
    output(f"Deleting {name} removes:")
    for line in summary:
        output(f"  {line}")
    if not yes:
        typer.confirm("Delete it? Files that are not in git cannot be restored.", abort=True)


def tables_of(name: str) -> list[str]:
    """Return the tables that reversing the migrations of a feature drops."""
    try:
        settings = get_settings()
        graph = MigrationGraph(installed_names())
        if name not in map(feature_of_revision, read_revisions_of_site(settings)):
            return []
        with connect(settings) as connection:
            owners = read_applied_owners(connection, graph)
            existing = find_site_tables(connection, owners)
    except OperatorError as error:
        raise OperatorError(f"{error} To delete only the code, add --keep-tables.") from error
    tables = [table for table in existing if owners.created.get(table) == name]
    for table in tables:
        if (owner := owners.models.get(table, name)) != name:
            raise OperatorError(
                f"The migrations of {name} created {table}, whose model is in {owner} now. To delete only the code, "
                "add --keep-tables."
            )
    return tables


@dataclass(frozen=True)
class PackageRemoval(FeatureRemoval):
    """Removal of a feature that is a package: also its requirement, its pin, its wheel and its installation."""

    @cached_property
    def package(self) -> str:
        """Normalized name of the distribution; empty if it is not installed."""
        points = metadata.entry_points(group=GROUP, name=self.name)
        return next((canonicalize_name(point.dist.name) for point in points if point.dist), "")

    def summary(self) -> Iterator[str]:
        yield from super().summary()
        if self.package:
            yield f"the installed package {self.package}"

    def apply(self) -> None:
        super().apply()
        if self.package:
            try:
                uninstall(self.package)
            except InstallError as error:
                print(error)

    @cached_property
    def paths(self) -> Sequence[Path]:
        wheels = (self.project / VENDOR).glob(f"{self.package.replace('-', '_')}-*.whl") if self.package else ()
        return [*super().paths, *wheels]

    def changes(self) -> dict[Path, Callable[[str], str]]:
        changes = super().changes()
        if self.package:
            changes[self.project / "pyproject.toml"] = lambda text: without_dependency(text, self.package)
            changes[self.project / BASE] = lambda text: without_pin(text, self.package)
        return changes
