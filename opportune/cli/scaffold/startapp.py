"""Create a feature with its first model.

It has a table, pages, an API, an admin view and tests, which you can change.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from opportune import __version__
from opportune.cli.output import say, say_next
from opportune.cli.scaffold import addmodel
from opportune.cli.scaffold.feature_names import check_name, folders
from opportune.cli.scaffold.file_changes import FileTexts
from opportune.cli.scaffold.installed import INSTALLED, one_at_a_time, with_feature
from opportune.cli.scaffold.migration import feature_names
from opportune.cli.scaffold.model_files import add_model_texts, write_model, write_with_migration
from opportune.cli.scaffold.model_request import plan_model
from opportune.cli.scaffold.new_model import ModelRequest, NewModel, render_skeleton
from opportune.cli.scaffold.words import camel, label, singular
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE, PROJECT

DEFAULT_FIELDS = ("owner", "title:str", "text:text:2000:optional", "created_at")
"""Fields of the first model if the user names none."""
TEMPLATES = ("pyproject.toml", "README.md")
CONFTEST = '"""Fixtures of the framework."""\n\npytest_plugins = ["opportune.testing.plugin"]\n'
EMPTY_FILES = ("__init__.py", "py.typed", "static/{name}/.gitkeep", "locale/.gitkeep")


def command(
    name: Annotated[str, typer.Argument(help="Name of the feature and its folders, such as notes.")],
    model: Annotated[
        str, typer.Argument(help="First model, such as Note. [default: the singular of the feature's name]")
    ] = "",
    fields: Annotated[list[str] | None, typer.Argument(help=addmodel.FIELDS_HELP)] = None,
    read: addmodel.Read = "",
    write: addmodel.Write = "",
    path: addmodel.Address = "",
    icon: addmodel.Icon = "",
    group: addmodel.Group = "",
    navigation: addmodel.Navigation = True,
    soft_delete: addmodel.SoftDelete = False,
    versioned: addmodel.Versioned = False,
    history: addmodel.History = False,
    package: Annotated[bool, typer.Option("--package", help="Create a package for several projects.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the package. [default: opportune-NAME beside the project]")
    ] = None,
) -> None:
    if folder and not package:
        raise typer.BadParameter("--folder needs --package.")
    check_name(name)
    path = path or ("" if model else f"/{name.replace('_', '-')}")
    options = (read, write, path, icon, group, navigation, soft_delete, versioned, history)
    request = ModelRequest(name, model or camel(singular(name)), fields or [*DEFAULT_FIELDS], *options)
    feature_file = render_skeleton("feature.py", {"feature": name, "label": label(name)})
    if package:
        parent = PROJECT.parent if Path.cwd().is_relative_to(PROJECT) else Path.cwd()
        folder = (folder or parent / _distribution_name(name)).expanduser().absolute()
        _create_package(request, feature_file, folder)
        say(f"Created {folder}.")
        say_next(f"addapp {shlex.quote(str(folder))}", "migrate", heading="Next, in a project:")
    else:
        # Users change the default model before they create its migration.
        texts = {PROJECT / PACKAGE / name / "feature.py": feature_file}
        with one_at_a_time(PROJECT):
            texts[PROJECT / INSTALLED] = with_feature((PROJECT / INSTALLED).read_text(encoding="utf-8"), name)
            created = plan_model(PROJECT, request)
            write_model(PROJECT, created, texts, has_migration=bool(model))
        say(f"Created {' and '.join(str(folder.relative_to(PROJECT)) for folder in folders(name))}.")
        say(f"Added {name} to {INSTALLED}.")
        addmodel.print_next_steps(created, () if model else (f"makemigrations {name}",))


def _distribution_name(feature: str) -> str:
    return f"{PREFIX}{feature}".replace("_", "-")


def _create_package(request: ModelRequest, feature_file: str, folder: Path) -> None:
    """Write a package with a feature, its model and the migration, all or nothing."""
    if folder.exists():
        raise OperatorError(f"{folder} already exists. Choose another folder with --folder.")
    model = plan_model(PROJECT, request)
    _refuse_models_of_project(model)
    texts = FileTexts(PROJECT, {PROJECT / PACKAGE / model.feature / "feature.py": feature_file})
    add_model_texts(texts, model)
    package = folder / f"{PREFIX}{model.feature}"
    files = _package_files(model.feature, texts.changed, package) | _surrounding_files(model.feature, folder)
    graph = MigrationGraph([*feature_names(""), model.feature], package / "migrations")
    write_with_migration(files, texts, model, graph)


def _refuse_models_of_project(model: NewModel) -> None:
    for field in model.fields:
        if field.target and field.target.file.is_relative_to(PROJECT / PACKAGE):
            raise OperatorError(
                f"{field.name}: a package cannot refer to {field.target.name}, which is a model of this project. "
                "Create the feature without --package."
            )


def _package_files(feature: str, texts: Mapping[Path, str], package: Path) -> dict[Path, str]:
    """Return files of a feature in the project as files of its package. Those of other features are left out."""
    folders = {PROJECT / PACKAGE / feature: package, PROJECT / "tests" / feature: package / "tests"}
    files: dict[Path, str] = {}
    for folder, target in folders.items():
        for path, text in texts.items():
            if path.is_relative_to(folder):
                files[target / path.relative_to(folder)] = text.replace(f"{PACKAGE}.{feature}", package.name)
    return files


def _surrounding_files(feature: str, folder: Path) -> dict[Path, str]:
    """Return the files of a package that a feature in a project does not have."""
    package = folder / f"{PREFIX}{feature}"
    placeholders = {"feature": feature, "label": label(feature), "module": package.name, "version": __version__}
    placeholders["distribution"] = _distribution_name(feature)
    files = {folder / name: render_skeleton(f"package/{name}", placeholders) for name in TEMPLATES}
    files[package / "tests/conftest.py"] = CONFTEST
    return files | {package / name.format(name=feature): "" for name in EMPTY_FILES}
