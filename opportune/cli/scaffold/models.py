"""The models that there are, read from the text of the project and the framework: nothing is imported for it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from opportune.cli.scaffold.source import bound_names
from opportune.cli.scaffold.words import snake
from opportune.config.project import FRAMEWORK, PACKAGE, USER_TABLE
from opportune.errors import OperatorError
from opportune.runtime.suggestions import did_you_mean

FEATURES = "opportune.features"
TEAM_COLUMN = "team_id"
"""Column of rows that a team owns."""


@dataclass(frozen=True)
class KnownModel:
    """A table's class, or one that is about to be written."""

    name: str
    feature: str
    table: str
    file: Path
    is_local: bool = False
    """True if it is in the requested feature."""
    is_itself: bool = False
    owner: str = ""
    """The column that points at the person whose a row is."""
    read: str = ""
    """Readers of its rows, from its data layer: `anyone`, `signed-in`, `owner`, `permitted`; empty without one."""

    path: str = ""
    """Address of its pages; empty without pages."""

    @property
    def is_account(self) -> bool:
        return self.table == USER_TABLE

    @property
    def belongs_to_team(self) -> bool:
        """True if a team owns its rows."""
        return self.owner == TEAM_COLUMN

    @property
    def identity(self) -> str:
        """Its name in the rights of groups."""
        return snake(self.name).replace("_", "-")


ACCOUNT = KnownModel("User", "accounts", USER_TABLE, Path())
"""The project's users. `KnownModels` does not find their class, as its base names the table."""


@dataclass(frozen=True)
class KnownModels:
    """All of them."""

    project: Path

    @cached_property
    def has_teams(self) -> bool:
        """True if the project has installed the framework's teams."""
        file = self.project / PACKAGE / "installed.py"
        imports = ast.parse(file.read_bytes()).body if file.is_file() else []
        of_framework = [each for each in imports if isinstance(each, ast.ImportFrom) and each.module == FEATURES]
        return any(alias.name == "teams" for each in of_framework for alias in each.names)

    @cached_property
    def all(self) -> list[KnownModel]:
        files = [*self.project.glob(f"{PACKAGE}/*/models.py"), *FRAMEWORK.rglob("models.py")]
        if not self.has_teams:  # whose names are free then
            files.remove(FRAMEWORK / "contrib/teams/models.py")
        return [model for file in sorted(files) for model in _models_in(file)]

    def names_in(self, feature: str) -> set[str]:
        """Return the names that the `models.py` of a feature defines and imports."""
        file = self.project / PACKAGE / feature / "models.py"
        return bound_names(ast.parse(file.read_bytes())) if file.is_file() else set()

    def named(self, name: str) -> KnownModel | None:
        """The one of this name in addresses and grants, which are small letters."""
        return next((each for each in self.all if snake(each.name) == snake(name)), None)

    def find(self, called: str, feature: str, model: str) -> KnownModel:
        """Resolve `Author` or `books.Author` in a feature; `model` is the new one.

        Raises:
            OperatorError: there is none, or several are meant.
        """
        wanted_feature, _, name = called.rpartition(".")
        if name == model and wanted_feature in ("", feature):
            return KnownModel(name, feature, "", Path(), is_local=True, is_itself=True)
        fitting = [each for each in self.all if each.name == name and wanted_feature in ("", each.feature)]
        own = [each for each in fitting if each.feature == feature]
        if name == "User" and wanted_feature in ("", "accounts", "users"):
            raise OperatorError(
                f"{called}: write NAME:account for a user that a row points at, or NAME:owner for the user who adds it."
            )
        if len(own or fitting) > 1:
            places = " or ".join(f"{each.feature}.{each.name}" for each in fitting)
            raise OperatorError(f"{called}: several models are called so. Write {places}.")
        if not fitting:
            raise OperatorError(f"There is no model {called}.{self._near(called)}")
        found = (own or fitting)[0]
        return replace(found, is_local=bool(own), **_said_of(found))

    def _near(self, called: str) -> str:
        names = {each.name for each in self.all} | {f"{each.feature}.{each.name}" for each in self.all}
        return did_you_mean(called, sorted(names)) or " Make it first: addmodel FEATURE MODEL FIELD…"


def _models_in(file: Path) -> Iterator[KnownModel]:
    """The classes of a file that have a table."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError as error:
        where = f"{file.parent.name}/{file.name}:{error.lineno}"
        raise OperatorError(f"{where} cannot be read ({error.msg}): mend it first.") from None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and (table := _table_of(node)):
            yield KnownModel(node.name, file.parent.name, table, file)


def _table_of(node: ast.ClassDef) -> str:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__tablename__")], value=ast.Constant(value=str(table))):
                return table
            case ast.AnnAssign(target=ast.Name(id="__tablename__"), value=ast.Constant(value=str(table))):
                return table
    return ""


def _said_of(model: KnownModel) -> dict[str, Any]:
    """Return owner, readers and address of a model, from its `class …(Crud[…])`."""
    file = model.file.with_name("service.py")
    tree = ast.parse(file.read_bytes()) if file.is_file() else ast.Module([], [])
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in classes:
        if any(ast.unparse(base) == f"Crud[{model.name}]" for base in node.bases):
            options = {ast.unparse(each.targets[0]): each.value for each in node.body if isinstance(each, ast.Assign)}
            owner, access = options.get("owner"), options.get("read_access")
            column = owner.value if isinstance(owner, ast.Constant) else ""
            said = access.attr.lower().replace("_", "-") if isinstance(access, ast.Attribute) else ""
            access_of = said or ("owner" if column else "permitted")
            return {"owner": column, "read": access_of, "path": _path_of(model.file.with_name("pages.py"), node.name)}
    return {}


def _path_of(file: Path, crud: str) -> str:
    """The address in `BookPages(Books, "/books")`."""
    found = re.search(rf'\({crud}, "(/[^"]*)"', file.read_text(encoding="utf-8")) if file.is_file() else None
    return found[1] if found else ""
