"""Write models for existing tables.

Reads the tables in DATABASE_URL that belong to no installed feature.

To adopt them: inspectdb --into legacy, makemigrations, migrate --fake-initial.
"""

import ast
import importlib.util
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from textwrap import TextWrapper
from typing import Annotated

import typer
from sqlalchemy import Connection

from opportune.cli.environment.locks import DEV
from opportune.cli.output import say, say_next, warn
from opportune.cli.scaffold.feature_names import check_name
from opportune.cli.scaffold.file_changes import replace_files
from opportune.cli.scaffold.installed import INSTALLED, one_at_a_time, with_feature
from opportune.config.settings import get_settings
from opportune.contrib.inspectdb.contents import Contents, read_contents
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph, feature_of_revision
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.ownership import read_applied_owners
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.plurals import list_first, pluralize
from opportune.project.installed import installed_features, installed_names
from opportune.project.layout import PACKAGE, PROJECT
from opportune.project.ruff import run_ruff

MODELS_HEADING = '"""Models of tables that existed before their feature, written by `inspectdb`."""\n\n'
VIEWS_HEADING = '"""Views and tables without a key, written by `inspectdb --views`. No migration creates them."""\n\n'
FEATURE = Path(__file__).with_name("adopted_feature.txt").read_text(encoding="utf-8")
ONLY_ON_POSTGRESQL = ', database="postgresql"'
TESTS = Path(__file__).with_name("adopted_tests.txt").read_text(encoding="utf-8")
MAX_LINE_CHARACTERS = 120
MODULE_RULES = "I,F401"
"""Rules of ruff that generated code may break: sorted and used imports."""
STRING_WRAPPER = TextWrapper(70, expand_tabs=False, replace_whitespace=False, drop_whitespace=False)
"""Divides long strings, such as the text of a CHECK constraint."""
MAX_LISTED_REASONS = 8
"""Maximum number of columns and constraints to print that need PostgreSQL."""


def command(
    tables: Annotated[list[str] | None, typer.Argument(metavar="TABLE", help="Names of tables. [default: all]")] = None,
    views: Annotated[
        bool, typer.Option("--views", help="Write views and tables without a primary key, as tables to query.")
    ] = False,
    into: Annotated[
        str, typer.Option(metavar="FEATURE", help="Create a feature with the models instead of printing them.")
    ] = "",
) -> None:
    if not importlib.util.find_spec("sqlacodegen"):
        raise OperatorError(f"inspectdb needs more packages. Install them: python3 -m pip install --no-deps -r {DEV}")
    if into and views:
        raise typer.BadParameter(
            "--into and --views cannot be combined. Print views and write them to a file of the feature."
        )
    if into:
        check_name(into)
    inspected = inspect_tables(tables or [], views=views, is_feature=bool(into))
    if into:
        create_feature(into, inspected)
    else:
        print(inspected.code, end="")
    for notice in inspected.notices:
        warn(notice)
    if reasons := inspected.only_on_postgresql:
        effect = f" {into}/feature.py requires PostgreSQL, also for its tests." if into else ""
        warn(f"These models need PostgreSQL: {list_first(reasons, MAX_LISTED_REASONS)}.{effect}")


@dataclass
class InspectionResult:
    """Generated module, with notices for the user."""

    code: str
    notices: list[str]
    only_on_postgresql: list[str]
    """Columns and constraints that SQLite does not support."""


def inspect_tables(requested: Sequence[str], *, views: bool, is_feature: bool) -> InspectionResult:
    """Generate a module for tables or views, by default for all that belong to no installed feature.

    Args:
        requested: Names of tables or views. If empty, all are selected.
        views: Write views and tables without a primary key, instead of tables with one.
        is_feature: Whether the models become a feature, so that those of other features exist beside them.
    """
    from opportune.contrib.inspectdb.reflection import InspectedTables, view_code  # sqlacodegen may not be installed

    with connect(get_settings()) as connection, ignore_reflection_warnings():
        contents = read_contents(connection)
        names = contents.queryable if views else contents.tables
        installed = _feature_tables(connection, names)
        other_schemas = "" if views else contents.advice_on_other_schemas(has_site=bool(installed))
        _refuse_missing(requested, names, contents, other_schemas, views=views)
        conflicting = [name for name in names if name in Model.metadata.tables and name not in installed]
        selected = list(requested) or [name for name in names if name not in {*installed, *conflicting}]
        if not selected:
            raise OperatorError(other_schemas or _nothing_to_write(contents, conflicting, views=views))
        if views:
            return InspectionResult(format_models(VIEWS_HEADING + view_code(connection, selected)), [], [])
        tables = InspectedTables(connection, selected, installed if is_feature else names)
        notices = [] if requested else [*contents.notices()]
        if conflicting and not requested:
            notices.append(_describe_conflicts(conflicting))
        notices += tables.notices()
        return InspectionResult(format_models(MODELS_HEADING + tables.code()), notices, tables.only_on_postgresql())


def _refuse_missing(
    requested: Sequence[str], names: Sequence[str], contents: Contents, other_schemas: str, *, views: bool
) -> None:
    """Raise OperatorError for the first requested name that does not exist, with advice where it may be."""
    if missing := next((name for name in requested if name not in names), ""):
        is_elsewhere = any(missing in (name, name.partition(".")[2]) for name in contents.other_tables)
        advice = f" {other_schemas}" if is_elsewhere else did_you_mean(missing, names)
        raise OperatorError(f"There is no {'view' if views else 'table with a primary key'} '{missing}'.{advice}")


def _nothing_to_write(contents: Contents, conflicting: Sequence[str], *, views: bool) -> str:
    """Return the reason why no table or view is selected."""
    if views:
        return "There are no views and no tables without a primary key, so there is nothing to write."
    if conflicting:
        return f"There is nothing to write. {_describe_conflicts(conflicting)}"
    if contents.tables:
        return "All tables belong to installed features, so there is nothing to write."
    notices = " ".join(contents.notices())
    return f"The database has no tables with a primary key, so there is nothing to write. {notices}".rstrip()


def _describe_conflicts(tables: Sequence[str]) -> str:
    return (
        f"Omitted: {', '.join(tables)}. Installed features have tables with the same names. "
        "Rename these before you run `migrate`."
    )


def _feature_tables(connection: Connection, names: Sequence[str]) -> list[str]:
    """Return the tables of features that are migrated in this database, or that adopt tables."""
    migrated = {feature_of_revision(row) for row in read_revisions(connection)}
    features = migrated | {feature.name for feature in installed_features() if feature.data.adopts_tables}
    owners = read_applied_owners(connection, MigrationGraph(installed_names()))
    return [name for name in names if owners.feature_of(name) in features or name in owners.written]


def format_models(code: str) -> str:
    """Format code with ruff, if it is installed. Long strings are divided."""
    code = _format(code)
    divided = _divide_long_strings(code)
    return code if divided == code else _format(divided)


def _format(code: str) -> str:
    """Return code as ruff would write it to the models of a project. Invalid code stays as it is."""
    stdin = ("--quiet", "--stdin-filename", PROJECT / PACKAGE / "models.py", "-")
    for task in (("check", "--fix-only", f"--select={MODULE_RULES}"), ("format",)):
        result = run_ruff(*task, *stdin, code=code)
        code = result.stdout if result and result.stdout else code
    return code


def _divide_long_strings(code: str) -> str:
    lines = code.splitlines(keepends=True)
    strings = [token for token in tokenize.generate_tokens(StringIO(code).readline) if token.type == tokenize.STRING]
    for token in reversed(strings):  # from the end, so that the positions of earlier strings stay the same
        (row, start), (last_row, end) = token.start, token.end
        parts = STRING_WRAPPER.wrap(ast.literal_eval(token.string))
        if row == last_row and len(parts) > 1 and len(token.line.rstrip()) > MAX_LINE_CHARACTERS:
            line = lines[row - 1]
            lines[row - 1] = f"{line[:start]}({' '.join(map(repr, parts))}){line[end:]}"
    return "".join(lines)


def create_feature(name: str, inspected: InspectionResult) -> None:
    """Create and install a feature with these models and a test."""
    installed = PROJECT / INSTALLED
    lines = inspected.code.splitlines()
    classes = [line.removeprefix("class ").partition("(")[0] for line in lines if line.startswith("class ")]
    files = feature_files(name, inspected, classes)
    with one_at_a_time(PROJECT):
        text = with_feature(installed.read_text(encoding="utf-8"), name)
        replace_files({**files, installed: text}, PROJECT / PACKAGE / name)
    say(f"Created {PACKAGE}/{name} with {pluralize(len(classes), 'model')}, and tests/{name}.")
    heading = f"Added {name} to {INSTALLED}. Review the models, then run:"
    say_next("makemigrations", "migrate --fake-initial", f"test tests/{name}", heading=heading)


def feature_files(name: str, inspected: InspectionResult, classes: Sequence[str]) -> dict[Path, str]:
    """Return the content of the files of a feature, by path."""
    placeholders = {
        "package": PACKAGE,
        "name": name,
        "models": ", ".join(f"models.{class_name}" for class_name in classes),
        "database": ONLY_ON_POSTGRESQL if inspected.only_on_postgresql else "",
    }
    code = PROJECT / PACKAGE / name
    tests = PROJECT / "tests" / name
    return {
        code / "__init__.py": "",
        code / "models.py": inspected.code,
        code / "feature.py": FEATURE.format(**placeholders),
        tests / "__init__.py": "",
        tests / "test_models.py": TESTS.format(**placeholders),
    }
