"""Put one migration in the place of all of a feature's.

It is made from the feature's models. For a database that has all of them nothing changes; a new one gets the one.
Migrate every database first.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from opportune.cli.database.makemigrations import collect
from opportune.cli.options import NoInput
from opportune.cli.output import say, warn
from opportune.config.project import display_path, installed_names
from opportune.config.settings import get_settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.squashing import Squash, plan_squash, write_squash
from opportune.db.models.model import Model
from opportune.errors import OperatorError

ONLY_ALL = (
    "Only all migrations of a feature can become one: what those in between do to rows (renames, what they fill in) "
    "stands in no model. Name the feature alone."
)


def command(
    feature: Annotated[str, typer.Argument(help="Whose migrations.")],
    ends: Annotated[list[str] | None, typer.Argument(metavar="START END", help="The first and the newest.")] = None,
    yes: NoInput = False,
) -> None:
    graph = MigrationGraph(installed_names())
    refuse_parts(graph, feature, ends or [])
    if collect(get_settings(), graph, feature, None, make_empty=False):
        raise OperatorError(f"The models of {feature} are ahead of their migrations: run makemigrations first.")
    squash = plan_squash(graph, feature, Model.metadata)
    print("Will squash the following migrations:")
    for migration in squash.migrations:
        print(f" - {migration.name}")
    for migration in squash.with_code:
        warn(f"Notice: {migration.name} runs code or SQL on rows, and a new database would not get what that adds.")
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("Nobody can be asked: say so by --yes.")
        if not typer.confirm("Has every database these, and does git have the files?"):
            raise typer.Abort
    carry_out(graph, squash)


def refuse_parts(graph: MigrationGraph, feature: str, ends: Sequence[str]) -> None:
    named = [graph.find(feature, each) for each in ends]
    if named and (named[-1] != graph.newest(feature) or any(start.follows for start in named[:-1])):
        raise OperatorError(ONLY_ALL)


def carry_out(graph: MigrationGraph, squash: Squash) -> None:
    others = write_squash(graph, squash, Model.metadata)
    say(f"Created {display_path(squash.path)} in the place of {len(squash.migrations)} files.")
    for path in others:
        say(f"{display_path(path)} depends on it now.")
    say("A database that has only some of them is refused: migrate it with the code before this.")
