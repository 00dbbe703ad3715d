"""Load rows from JSON files.

Existing rows with the same key are replaced. Either all rows are loaded or, if one is invalid, none.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from opportune.cli.output import Progress, progress, say
from opportune.cli.transaction import migrated_settings
from opportune.contrib.copydb.connections import explained_errors, open_destination
from opportune.contrib.dumps.load import load
from opportune.contrib.dumps.names import tables_by_name
from opportune.contrib.dumps.rows import DumpedObject
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.plurals import pluralize
from opportune.project.installed import installed_features, installed_names
from opportune.project.text_files import read_text

STDIN = "-"


def command(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files written by dumpdata, or - for standard input.")
    ],
) -> None:
    url = direct_url(migrated_settings())
    models = [model for feature in installed_features() for model in feature.models]
    with progress("Loading", unit="rows") as bar, open_destination(url) as connection, explained_errors(url):
        tables = tables_by_name(Model.metadata, installed_names())
        number = load(connection, tables, models, read_files(files, bar))
    say(f"Loaded {pluralize(number, 'row')}.")


def read_files(files: Sequence[str], bar: Progress) -> Iterator[DumpedObject]:
    for name in files:
        label = "Standard input" if name == STDIN else name
        for number, value in enumerate(read_list(name, label), 1):
            yield DumpedObject(f"{label}, object {number}", value)
            bar.advance()


def read_list(name: str, label: str) -> list[Any]:
    """Return the list in a file."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig") if name == STDIN else read_text(Path(name))
        objects = json.loads(text)
    except UnicodeDecodeError:
        raise OperatorError(f"{label} is not UTF-8 text. Nothing was loaded.") from None
    except RecursionError:
        raise OperatorError(f"{label} is nested too deeply. Nothing was loaded.") from None
    except ValueError as error:
        raise OperatorError(f"{label} is not JSON: {error}. Nothing was loaded.") from None
    if not isinstance(objects, list):
        raise OperatorError(f"{label} is not a JSON list. Nothing was loaded.")
    return objects
