"""Load rows from JSON files.

Existing rows with the same key are replaced. Either all rows are loaded or, if one is invalid, none.
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
from opportune.contrib.copydb.connections import explained_errors, open_destination
from opportune.contrib.dumps.json_stream import read_objects
from opportune.contrib.dumps.load import FixtureObject, load
from opportune.contrib.dumps.names import tables_by_name
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.plurals import pluralize
from opportune.project.layout import installed_features, installed_names

STDIN = "-"


def command(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files written by dumpdata, or - for standard input.")
    ],
) -> None:
    url = direct_url(migrated_settings())
    models = [model for feature in installed_features() for model in feature.models]
    with progress("Loading", unit="rows") as bar, open_destination(url) as connection, explained_errors(url):
        rows = with_progress(bar, read_files(files))
        number = load(connection, tables_by_name(Model.metadata, installed_names()), models, rows)
    say(f"Loaded {pluralize(number, 'row')}.")


def with_progress(bar: Progress, rows: Iterator[FixtureObject]) -> Iterator[FixtureObject]:
    for row in rows:
        yield row
        bar.advance()


def read_files(files: Sequence[str]) -> Iterator[FixtureObject]:
    for name in files:
        label = "Standard input" if name == STDIN else name
        number = 0
        with open_input(name) as file:
            try:
                for number, value in enumerate(read_objects(file), 1):
                    yield FixtureObject(f"{label}, object {number}", value)
            except ValueError as error:
                location = f" after object {number}" if number else ""
                raise OperatorError(f"{label}{location} {error}. Nothing was loaded.") from None


@contextmanager
def open_input(name: str) -> Iterator[TextIO]:
    if name == STDIN:
        yield TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig")
        return
    try:
        with Path(name).open(encoding="utf-8-sig") as file:
            yield file
    except OSError as error:
        raise OperatorError(f"{name} cannot be read: {error.strerror}.") from error
