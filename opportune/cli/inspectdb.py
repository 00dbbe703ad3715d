"""`inspectdb`: models of tables that are there already, to look at or as a feature of the project."""

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, inspect

from opportune.cli.environment import DEV
from opportune.cli.installed import INSTALLED, with_feature
from opportune.cli.output import say, warn
from opportune.cli.startapp import name_error
from opportune.db.migrations.connection import connect
from opportune.db.migrations.history import VERSION_TABLE
from opportune.db.migrations.post_migrate import is_derived
from opportune.errors import OperatorError
from opportune.project import PACKAGE, PROJECT, feature_of_table, installed_names
from opportune.settings import get_settings
from opportune.suggestions import did_you_mean

HEADINGS = {
    False: '"""Tables that were there before their feature, as `inspectdb` found them."""\n\n',
    True: '"""What is asked and never written, as `inspectdb --views` found it: no migration makes it."""\n\n',
}
FEATURE = """\
from {package}.{name} import models
from opportune.feature import Feature

{name} = Feature(
    name="{name}",
    summary="Tables that were there before this site.",
    models=[{models}],
    adopts_tables=True,
)
"""


def command(
    tables: Annotated[list[str] | None, typer.Argument(metavar="TABLE", help="Only these.")] = None,
    views: Annotated[
        bool, typer.Option("--views", help="Views, and tables without a primary key, instead: to be asked alone.")
    ] = False,
    into: Annotated[
        str, typer.Option(metavar="FEATURE", help="Make a feature of them, instead of printing the models.")
    ] = "",
) -> None:
    """Write models of the tables in DATABASE_URL that belong to no installed feature.

    To adopt them: inspectdb --into legacy, makemigrations legacy, migrate --fake-initial.
    """
    if not importlib.util.find_spec("sqlacodegen"):
        raise OperatorError(f"This needs more than is installed here: python3 -m pip install --no-deps -r {DEV}")
    if into and views:
        raise typer.BadParameter("--into takes tables; print views and write them to a file of the feature.")
    if into and (fault := name_error(into)):
        raise OperatorError(fault)
    code = code_of(tables or [], views=views)
    if into:
        create_feature(into, code)
    else:
        print(code, end="")


def code_of(wanted: Sequence[str], *, views: bool) -> str:
    """The text of the module.

    Raises:
        OperatorError: there is nothing of that name, or nothing at all.
    """
    with _calls_unchecked():
        from opportune.cli.inspected_models import model_code, view_code  # noqa: PLC0415 - sqlacodegen may not be there

    with connect(get_settings()) as connection:
        with_key, others = found(connection)
        names = others if views else with_key
        if missing := [name for name in wanted if name not in names]:
            kind = "view" if views else "table with a primary key"
            raise OperatorError(f"There is no {kind} '{missing[0]}'.{did_you_mean(missing[0], names)}")
        chosen = list(wanted) or [name for name in names if not feature_of_table(name, installed_names())]
        if not chosen:
            raise OperatorError("Every table belongs to an installed feature: there is nothing to write.")
        if not (views or wanted):
            for name in set(others) & set(inspect(connection).get_table_names()):
                warn(f"Left out: {name}, which has no primary key. To ask it: inspectdb --views {name}")
        return formatted(HEADINGS[views] + (view_code if views else model_code)(connection, chosen))


@contextmanager
def _calls_unchecked() -> Iterator[None]:
    """Import inflect, which knows plurals, without what typeguard adds: it compiles inflect 23 times, in seconds."""
    if importlib.util.find_spec("typeguard") is None:
        yield
        return
    typeguard: Any = importlib.import_module("typeguard")
    checked, typeguard.typechecked = typeguard.typechecked, lambda function: function
    try:
        yield
    finally:
        typeguard.typechecked = checked


def found(connection: Connection) -> tuple[list[str], list[str]]:
    """Tables that can be models, and what can only be asked."""
    inspector = inspect(connection)
    keys = inspector.get_multi_pk_constraint()
    tables = [name for name in inspector.get_table_names() if name != VERSION_TABLE.name and not is_derived(name)]
    with_key = [name for name in tables if keys[None, name]["constrained_columns"]]
    return with_key, [*inspector.get_view_names(), *(name for name in tables if name not in with_key)]


def formatted(code: str) -> str:
    """As the project's own files are, where the tools for development are installed."""
    for task in (["check", "--fix-only", "--select=I,F401"], ["format"]):
        command = [sys.executable, "-m", "ruff", *task, "--quiet", "--stdin-filename", f"{PACKAGE}/models.py", "-"]
        done = subprocess.run(command, input=code, capture_output=True, text=True, cwd=PROJECT, check=False)  # noqa: S603 - our own
        code = done.stdout or code
    return code


def create_feature(name: str, code: str) -> None:
    """Write a feature that has these models and nothing else, and install it.

    Raises:
        OperatorError: a file cannot be written; then there is none.
    """
    folder, installed = PROJECT / PACKAGE / name, PROJECT / INSTALLED
    text = with_feature(installed.read_text(encoding="utf-8"), name)
    classes = [line.removeprefix("class ").partition("(")[0] for line in code.splitlines() if line.startswith("class ")]
    models = ", ".join(f"models.{each}" for each in classes)
    files = {
        "__init__.py": "",
        "models.py": code,
        "feature.py": formatted(FEATURE.format(package=PACKAGE, name=name, models=models)),
    }
    try:
        folder.mkdir()
        for file, words in files.items():
            (folder / file).write_text(words, encoding="utf-8")
        installed.write_text(text, encoding="utf-8")
    except OSError as error:
        discard(folder, files)
        raise OperatorError(f"{error.filename} cannot be written ({error.strerror}); nothing was created.") from error
    say(f"Created {PACKAGE}/{name} with {len(classes)} models; {INSTALLED} has it. Read them, then:")
    for step in (f"makemigrations {name}", "migrate --fake-initial"):
        say(f"  python3 oppman.py {step}")


def discard(folder: Path, files: dict[str, str]) -> None:
    for file in files:
        (folder / file).unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()
