"""List the migrations and mark the applied ones."""

from collections.abc import Collection
from typing import Annotated

import typer

from opportune.cli.database.migrate import warn_about_removed
from opportune.cli.options import AsJson
from opportune.cli.output import print_json
from opportune.config.settings import get_settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.db.migrations.migration_file import Migration
from opportune.project.installed import installed_names


def command(
    features: Annotated[list[str] | None, typer.Argument(metavar="FEATURE", help="Features. [default: all]")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Sort by the order of application.")] = False,
    as_json: AsJson = False,
) -> None:
    graph = MigrationGraph(installed_names())
    migrations_by_feature = {name: graph.migrations_of(name) for name in features or graph.features}
    recorded = read_revisions_of_site(get_settings())
    applied = set(graph.applied(recorded))
    ordered = [migration for migration in graph.ordered if migration.feature in migrations_by_feature]
    if as_json:
        keys = ("feature", "name", "revision", "applied")
        rows = ((step.feature, step.name, step.revision, step in applied) for step in ordered)
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    elif plan:
        for migration in ordered:
            print(f"{_mark_of(migration, applied)}  {migration}")
    else:
        _print_list(migrations_by_feature, applied)
    warn_about_removed(graph, recorded)


def _mark_of(migration: Migration, applied: Collection[Migration]) -> str:
    return "[X]" if migration in applied else "[ ]"


def _print_list(migrations_by_feature: dict[str, list[Migration]], applied: Collection[Migration]) -> None:
    for name, migrations in migrations_by_feature.items():
        print(name)
        for migration in migrations:
            print(f" {_mark_of(migration, applied)} {migration.name}")
        if not migrations:
            print(" (no migrations)")
