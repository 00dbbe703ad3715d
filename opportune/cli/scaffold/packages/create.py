"""Creation of a package with a feature and its first model."""

from collections.abc import Mapping
from pathlib import Path

from opportune import __version__
from opportune.cli.scaffold.migration import feature_names
from opportune.cli.scaffold.model import NewModel, render_skeleton
from opportune.cli.scaffold.model_addition import (
    FileTexts,
    ModelRequest,
    add_model_texts,
    new_model,
    write_with_migration,
)
from opportune.cli.scaffold.words import label
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE, PROJECT

TEMPLATES = ("pyproject.toml", "README.md")
CONFTEST = '"""Fixtures of the framework."""\n\npytest_plugins = ["opportune.testing.plugin"]\n'
EMPTY_FILES = ("__init__.py", "py.typed", "static/{name}/.gitkeep", "locale/.gitkeep")


def distribution_name(feature: str) -> str:
    return f"{PREFIX}{feature}".replace("_", "-")


def create_package(request: ModelRequest, feature_file: str, folder: Path) -> None:
    """Write a package with a feature, its model and the migration, all or nothing.

    Args:
        request: Arguments of the command line.
        feature_file: Text of `feature.py` without the model.
        folder: Folder to create.

    Raises:
        OperatorError: The request is invalid, or the folder exists. No file was written.
    """
    if folder.exists():
        raise OperatorError(f"{folder} already exists. Choose another folder with --folder.")
    model = new_model(PROJECT, request)
    _refuse_models_of_project(model)
    texts = FileTexts(PROJECT, {PROJECT / PACKAGE / model.feature / "feature.py": feature_file})
    add_model_texts(texts, model, request)
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
    placeholders["distribution"] = distribution_name(feature)
    files = {folder / name: render_skeleton(f"package/{name}", placeholders) for name in TEMPLATES}
    files[package / "tests/conftest.py"] = CONFTEST
    return files | {package / name.format(name=feature): "" for name in EMPTY_FILES}
