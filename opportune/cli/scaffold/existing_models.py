"""Models of the project and the framework, found by parsing their source; nothing is imported."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from opportune.cli.scaffold.installed import INSTALLED, listed_names
from opportune.cli.scaffold.source import bound_names, read_source
from opportune.cli.scaffold.words import snake
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.assignments import assigned_values
from opportune.project.layout import FRAMEWORK, PACKAGE, USER_TABLE

TEAM_COLUMN = "team_id"
"""Column of rows that a team owns."""


@dataclass(frozen=True)
class ExistingModel:
    """A model class with a table, or the model that is being added."""

    name: str
    feature: str
    table: str
    file: Path
    is_local: bool = False
    """True if it is in the requested feature."""
    is_itself: bool = False
    """True if it is the model that is being added."""
    has_trash: bool = False
    """True if it is `SoftDelete`."""
    owner: str = ""
    """Column that refers to the owner of a row."""
    read: str = ""
    """Read permission of its data layer: `anyone`, `signed-in`, `owner` or `permitted`; empty without a data layer."""
    path: str = ""
    """URL of its pages; empty without pages."""

    @property
    def is_account(self) -> bool:
        return self.table == USER_TABLE

    @property
    def belongs_to_team(self) -> bool:
        """True if a team owns its rows."""
        return self.owner == TEAM_COLUMN

    @property
    def identity(self) -> str:
        """Name of the model in permissions."""
        return snake(self.name).replace("_", "-")


ACCOUNT = ExistingModel("User", "accounts", USER_TABLE, Path())
"""The user model. `ExistingModels` does not find it, because its base class names the table."""


@dataclass(frozen=True)
class ExistingModels:
    """All models of a project and of the framework."""

    project: Path

    @cached_property
    def installed_names(self) -> set[str]:
        """Names of the features that the project has installed, among them those of the framework."""
        file = self.project / INSTALLED
        return listed_names(file.read_text(encoding="utf-8")) if file.is_file() else set()

    @cached_property
    def all(self) -> list[ExistingModel]:
        files = [*self.project.glob(f"{PACKAGE}/*/models.py"), *FRAMEWORK.rglob("models.py")]
        if "teams" not in self.installed_names:  # without teams, the project may use their model names
            files.remove(FRAMEWORK / "contrib/teams/models.py")
        return [model for file in sorted(files) for model in _models_in(file)]

    def names_in(self, feature: str) -> set[str]:
        """Return the names defined or imported in the `models.py` of a feature."""
        file = self.project / PACKAGE / feature / "models.py"
        return bound_names(ast.parse(file.read_bytes())) if file.is_file() else set()

    def find_by_name(self, name: str) -> ExistingModel | None:
        """Return the model with this name, ignoring case as URLs and permissions do."""
        return next((model for model in self.all if snake(model.name) == snake(name)), None)

    def resolve(self, reference: str, feature: str, new_model: str) -> ExistingModel:
        """Resolve a reference such as `Author` or `books.Author` from a new model of a feature."""
        prefix, _, name = reference.rpartition(".")
        if name == new_model and prefix in ("", feature):
            return ExistingModel(name, feature, "", Path(), is_local=True, is_itself=True)
        if name == "User" and prefix in ("", "accounts", "users"):
            raise OperatorError(
                f"{reference}: write NAME:account for any user, or NAME:owner for the user who adds the row."
            )
        matches = [model for model in self.all if model.name == name and prefix in ("", model.feature)]
        if not matches:
            names = sorted({name for model in self.all for name in (model.name, f"{model.feature}.{model.name}")})
            hint = did_you_mean(reference, names) or " Create it first: addmodel FEATURE MODEL FIELD…"
            raise OperatorError(f"There is no model {reference}.{hint}")
        local = [model for model in matches if model.feature == feature]
        model, *others = local or matches
        if others:
            choices = " or ".join(f"{model.feature}.{model.name}" for model in matches)
            raise OperatorError(f"{reference}: several models have this name. Write {choices}.")
        return replace(model, is_local=bool(local), **_crud_options(model))


def _models_in(file: Path) -> Iterator[ExistingModel]:
    """Yield the classes of a file that have a table."""
    tree = read_source(file.read_text(encoding="utf-8"), f"{file.parent.name}/{file.name}").tree
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and (table := _table_of(node)):
            has_trash = any(isinstance(base, ast.Name) and base.id == "SoftDelete" for base in node.bases)
            yield ExistingModel(node.name, file.parent.name, table, file, has_trash=has_trash)


def _table_of(node: ast.ClassDef) -> str:
    """Return the `__tablename__` of a class; empty without one."""
    name = assigned_values(node.body).get("__tablename__")
    return str(name.value) if isinstance(name, ast.Constant) else ""


def _crud_options(model: ExistingModel) -> dict[str, Any]:
    """Return the fields of an `ExistingModel` that its `Crud` class declares: `owner`, `read` and `path`.

    Of several classes, the one with `default = True` counts.
    """
    file = model.file.with_name("service.py")
    tree = read_source(file.read_text("utf-8") if file.is_file() else "", f"{file.parent.name}/{file.name}").tree
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    cruds = [node for node in classes if f"Crud[{model.name}]" in map(ast.unparse, node.bases)]
    if not cruds:
        return {}
    crud = next((node for node in cruds if "default" in assigned_values(node.body)), cruds[0])
    options = assigned_values(crud.body)
    owner = options.get("owner_column", options.get("team_column"))
    column = owner.value if isinstance(owner, ast.Constant) else ""
    read = "owner" if column else "permitted"  # the defaults of `Crud`
    if isinstance(permission := options.get("read_permission"), ast.Attribute):
        read = permission.attr.lower().replace("_", "-")
    return {"owner": column, "read": read, "path": _path_of(model.file.with_name("pages.py"), crud.name)}


def _path_of(file: Path, crud: str) -> str:
    """Return the URL in code such as `BookPages(Books, "/books")`; empty without pages."""
    match = re.search(rf'\({crud}, "(/[^"]*)"', file.read_text(encoding="utf-8")) if file.is_file() else None
    return match[1] if match else ""
