"""Add rows from JSON files.

Rows whose key is there are replaced. All of them are added, or none if one is wrong.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, TextIO

import typer

from opportune.cli.output import Progress, progress, say
from opportune.cli.transaction import migrated_settings
from opportune.config.project import installed_features, installed_names
from opportune.db.migrations.connection import migration_url
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.ops.copydb.connections import destination, explained_errors
from opportune.ops.fixtures.json_stream import read_objects
from opportune.ops.fixtures.load import FixtureObject, load
from opportune.ops.fixtures.names import tables_by_name
from opportune.runtime.counts import counted

STDIN = "-"


def command(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="What dumpdata has written; - is the input.")],
) -> None:
    url = migration_url(migrated_settings())
    models = [model for feature in installed_features() for model in feature.models]
    with progress("Loading", unit="rows") as bar, destination(url) as connection, explained_errors(url):
        rows = shown_by(bar, every_object(files))
        number = load(connection, tables_by_name(Model.metadata, installed_names()), models, rows)
    say(f"Loaded {counted(number, 'row')}.")


def shown_by(bar: Progress, rows: Iterator[FixtureObject]) -> Iterator[FixtureObject]:
    for row in rows:
        yield row
        bar.advance()


def every_object(files: Sequence[str]) -> Iterator[FixtureObject]:
    for name in files:
        shown = "The input" if name == STDIN else name
        number = 0
        with opened(name) as file:
            try:
                for number, value in enumerate(read_objects(file), 1):
                    yield FixtureObject(f"{shown}, object {number}", value)
            except ValueError as error:
                after = f" after object {number}" if number else ""
                raise OperatorError(f"{shown}{after} {error}. Nothing was loaded.") from None


@contextmanager
def opened(name: str) -> Iterator[TextIO]:
    if name == STDIN:
        yield TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig")
        return
    try:
        with Path(name).open(encoding="utf-8-sig") as file:
            yield file
    except OSError as error:
        raise OperatorError(f"{name} cannot be read: {error.strerror}.") from error
