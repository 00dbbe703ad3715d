"""Create a feature with its first model.

It has a table, pages, an API, an admin view and tests, which you can change.
"""

import importlib.util
import shlex
from pathlib import Path
from typing import Annotated

import typer

from opportune.cli.output import say, say_next
from opportune.cli.scaffold.addmodel import (
    FIELDS_HELP,
    Group,
    History,
    Icon,
    Navigation,
    Read,
    SoftDelete,
    Versioned,
    Write,
    print_next_steps,
)
from opportune.cli.scaffold.addmodel import Path as Address
from opportune.cli.scaffold.feature_names import folders, name_problem
from opportune.cli.scaffold.installed import INSTALLED, with_feature
from opportune.cli.scaffold.model import render_skeleton
from opportune.cli.scaffold.model_addition import ModelRequest, new_model, write_model
from opportune.cli.scaffold.packages.create import create_package, distribution_name
from opportune.cli.scaffold.words import camel, label, singular
from opportune.errors import OperatorError
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import PACKAGE, PROJECT

DEFAULT_FIELDS = ("owner", "title:str", "text:text:2000:optional", "created_at")
"""Fields of the first model if the user names none."""


def command(
    name: Annotated[str, typer.Argument(help="Name of the feature and its folders, such as notes.")],
    model: Annotated[
        str, typer.Argument(help="First model, such as Note. [default: the singular of the feature's name]")
    ] = "",
    fields: Annotated[list[str] | None, typer.Argument(help=FIELDS_HELP)] = None,
    read: Read = "",
    write: Write = "",
    path: Address = "",
    icon: Icon = "",
    group: Group = "",
    navigation: Navigation = True,
    soft_delete: SoftDelete = False,
    versioned: Versioned = False,
    history: History = False,
    package: Annotated[bool, typer.Option("--package", help="Create a package for several projects.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the package. [default: opportune-NAME beside the project]")
    ] = None,
) -> None:
    if folder and not package:
        raise typer.BadParameter("--folder needs --package.")
    check_name(name)
    path = path or ("" if model else f"/{name.replace('_', '-')}")
    has_model = bool(model)
    model, fields = model or camel(singular(name)), fields or [*DEFAULT_FIELDS]
    options = (read, write, path, icon, group, navigation, soft_delete, versioned, history)
    request = ModelRequest(name, model, fields, *options)
    feature_file = render_skeleton("feature.py", {"feature": name, "label": label(name)})
    if package:
        folder = (folder or default_folder(name)).expanduser().absolute()
        create_package(request, feature_file, folder)
        print_package_steps(folder)
        return
    installed = PROJECT / INSTALLED
    base = {
        installed: with_feature(installed.read_text(encoding="utf-8"), name),
        PROJECT / PACKAGE / name / "feature.py": feature_file,
    }
    created = new_model(PROJECT, request)
    # Users change the default model before they create its migration.
    write_model(PROJECT, created, request, base, has_migration=has_model)
    say(f"Created {' and '.join(str(folder.relative_to(PROJECT)) for folder in folders(name))}.")
    say(f"Added {name} to {INSTALLED}.")
    print_next_steps(created, () if has_model else (f"makemigrations {name}",))


def default_folder(name: str) -> Path:
    parent = PROJECT.parent if Path.cwd().is_relative_to(PROJECT) else Path.cwd()
    return parent / distribution_name(name)


def print_package_steps(folder: Path) -> None:
    say(f"Created {folder}.")
    say_next(f"addapp {shlex.quote(str(folder))}", "migrate", heading="Next, in a project:")


def check_name(name: str) -> None:
    """Check that a new feature can have this name.

    Raises:
        OperatorError: it cannot.
    """
    problem = name_problem(name)
    if not problem and (package := feature_packages().get(name)):
        problem = f"The package {Path(package).name} has a feature named {name!r}."
    if not problem and (importlib.util.find_spec(f"{PACKAGE}.{name}") or importlib.util.find_spec(name)):
        problem = f"There is a Python module named {name!r}."
    if problem:
        raise OperatorError(f"{problem} Choose another name.")
