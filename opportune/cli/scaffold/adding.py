"""Adds a model to a feature: reads what is there, works out every text, then writes them all or none."""

import builtins
import importlib.util
import keyword
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from opportune.cli.scaffold.access import access_table, undeletable
from opportune.cli.scaffold.addresses import address_error
from opportune.cli.scaffold.by_hand import code_by_hand, refuse_by_hand, templates_by_hand, with_schemas
from opportune.cli.scaffold.feature_file import takes_owner, with_model
from opportune.cli.scaffold.fields import OWNERS, Field, read_fields
from opportune.cli.scaffold.file_changes import written
from opportune.cli.scaffold.installed import INSTALLED
from opportune.cli.scaffold.migration import draft, feature_names
from opportune.cli.scaffold.model import ACCESSES, NewModel, as_tuple, filled
from opportune.cli.scaffold.model_code import link_name, models_module
from opportune.cli.scaffold.model_tests import tests_module
from opportune.cli.scaffold.models import KnownModels
from opportune.cli.scaffold.module_imports import merged
from opportune.cli.scaffold.source import MAX_LINE_LENGTH, NotAsExpected, Source, bound_names, read_source
from opportune.cli.scaffold.words import plural, snake
from opportune.config.project import PACKAGE
from opportune.db.migrations.autogenerate import write_migration
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError

CODE = ("service.py", "pages.py", "api.py", "admin.py")
MAX_NAME_LENGTH = 24
OF_CODE = {
    *("Access", "AdminView", "Any", "AsyncClient", "Country", "Crud", "CrudApi", "CrudPages", "Database", "Decimal"),
    *("Email", "Field", "File", "Image", "Json", "Line", "Make", "Markdown", "Model", "ModelBase"),
    *("Money", "Phone", "Relationship", "Request", "Response", "Slug", "StrEnum", "Text", "TextList"),
    *("Url", "User"),
}
"""Names in the code that is written, where a model of that name would make them mean two things."""


@dataclass(frozen=True)
class Request:
    """Arguments of the command line."""

    feature: str
    name: str
    fields: Sequence[str]
    read: str = ""
    write: str = ""
    path: str = ""
    icon: str = "point"
    group: str = ""
    navigation: bool = True
    by_hand: bool = False
    """True to write out its schemas, routes and templates."""


def add_model(project: Path, request: Request) -> tuple[NewModel, list[str]]:
    """Write a model into a feature that is there, and say what is left to be added by hand.

    Raises:
        OperatorError: with nothing written.
    """
    folder = project / PACKAGE / request.feature
    if not re.fullmatch(r"\w+", request.feature) or not (folder / "feature.py").is_file():
        raise OperatorError(
            f"There is no feature {PACKAGE}/{request.feature}. Make it with its first model: "
            f"python3 oppman.py startapp {request.feature} MODEL FIELD…"
        )
    if (folder / "models").is_dir():
        raise OperatorError(f"{PACKAGE}/{request.feature}/models is a folder: addmodel adds to a models.py alone.")
    model = new_model(project, request)
    return model, write_model(project, model, request, {})


def new_model(project: Path, request: Request) -> NewModel:
    """The model that is asked for, all its names checked.

    Raises:
        OperatorError: something of it cannot be, or is taken.
    """
    known = KnownModels(project)
    check_model_name(request.name, known)
    fields = read_fields(request.fields, request.feature, request.name, known)
    is_owned = any(each.type in OWNERS for each in fields)
    read, write = (_access(value, is_owned=is_owned) for value in (request.read, request.write))
    if read == "owner" and write != "owner":
        raise OperatorError("--read owner: who else may write what they cannot read? Leave --write out.")
    if write != "owner" and any(each.type == "team" for each in fields):
        raise OperatorError("team: its members write the rows. Leave --write out.")
    if write == "anyone":
        _refuse_required_account(fields)
    if not re.fullmatch("[a-z0-9-]+", request.icon):
        raise OperatorError(f"{request.icon!r} is no icon's name: take one of tabler.io/icons, as in --icon book.")
    path = request.path or f"/{plural(snake(request.name)).replace('_', '-')}"
    model = NewModel(request.feature, request.name, fields, read, write, path, request.icon)
    if request.by_hand:
        refuse_by_hand(model)
    if fault := address_error(project, path):
        raise OperatorError(fault)
    if table := next((each for each in known.all if each.table == model.table), None):
        raise OperatorError(f"{table.feature} has a table {model.table} already: choose another name.")
    return model


def _refuse_required_account(fields: Sequence[Field]) -> None:
    """Refuse what a visitor who is not signed in could never fill in."""
    for name in (each.name for each in fields if each.is_account and each.is_required):
        raise OperatorError(
            f"{name}: visitors who are not signed in cannot choose an account. Write {name}:account:optional, or leave "
            "--write out."
        )


def check_model_name(name: str, known: KnownModels) -> None:
    if not re.fullmatch(r"[A-Z][a-z0-9]+([A-Z][a-z0-9]*)*", name) or len(name) > MAX_NAME_LENGTH:
        raise OperatorError(
            f"{name!r} is no model's name: what one row is, as in BookReview, with up to {MAX_NAME_LENGTH} letters."
        )
    if keyword.iskeyword(name) or name in dir(builtins) or name in OF_CODE:
        raise OperatorError(f"{name!r} means something in Python or in the code of a model: choose another name.")
    if other := known.named(name):
        raise OperatorError(f"{other.feature} has a model {other.name} already: rights and addresses are by that name.")


def _access(value: str, *, is_owned: bool) -> str:
    if not value:
        return "owner" if is_owned else "permitted"
    if value not in ACCESSES:
        raise OperatorError(f"{value!r} is nobody: say anyone, signed-in, permitted or owner.")
    if value == "owner" and not is_owned:
        raise OperatorError("Rows have no owner: add the field `owner`, or `team`.")
    return value


def write_model(
    project: Path, model: NewModel, request: Request, base: Mapping[Path, str], *, has_migration: bool = True
) -> list[str]:
    """Work out every file of a model, then write them all; `base` has texts that are not written yet.

    What its feature's files, written in ways of their own, leave to be added by hand is told.
    """
    texts = _Texts(project, dict(base))
    add_texts(texts, model, request)
    if not has_migration:
        with written(texts.changed, project):
            tidy(texts.new)
        return texts.by_hand
    graph = MigrationGraph(feature_names(texts[project / INSTALLED]))
    tables = [model.table, *(f"{model.feature}_{snake(link)}" for link in links_of(model))]
    models = project / PACKAGE / model.feature / "models.py"
    migration = draft(model.feature, texts[models], models, tables, graph)
    with written(texts.changed, graph.folder(model.feature)):
        write_migration(graph, migration)
        tidy(texts.new)
    return texts.by_hand


def tidy(files: Sequence[Path]) -> None:
    """Wrap the lines of new files that a long name makes too long for the linter, if that is installed."""
    long = [file for file in files if any(len(line) > MAX_LINE_LENGTH for line in file.read_text("utf-8").splitlines())]
    if long and importlib.util.find_spec("ruff"):
        for task in (["check", "--fix-only", "--select=I"], ["format"]):
            subprocess.run([sys.executable, "-m", "ruff", *task, "--quiet", *long], check=False)


class _Texts:
    """Files as they are, or as they will be."""

    def __init__(self, project: Path, changed: dict[Path, str]) -> None:
        self.project = project
        self.changed = changed
        self.by_hand: list[str] = []
        """Steps left to the user, for files that addmodel cannot change."""
        self._there = {path for path in changed if path.exists()}

    def __getitem__(self, path: Path) -> str:
        if path not in self.changed:
            return path.read_text(encoding="utf-8") if path.is_file() else ""
        return self.changed[path]

    def __setitem__(self, path: Path, text: str) -> None:
        if path.exists():
            self._there.add(path)
        self.changed[path] = text

    @property
    def new(self) -> list[Path]:
        """Python files that there were not."""
        return [path for path in self.changed if path.suffix == ".py" and path not in self._there]

    def shown(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


def links_of(model: NewModel) -> list[str]:
    """The classes of the tables between it and others."""
    return [link_name(model.name, each) for each in model.fields if each.type == "many"]


def add_texts(texts: _Texts, model: NewModel, request: Request) -> None:
    """Put the model into the texts of its feature, and its tests beside them."""
    folder, tests = texts.project / PACKAGE / model.feature, texts.project / "tests" / model.feature
    taken = {name for file in ("pages.py", "api.py") for name in bound_names(_read(texts, folder / file).tree)}
    router = "router" if "router" not in taken else f"{model.things}_router"
    additions = {"models.py": models_module(model.feature, model.name, model.table, model.fields)}
    additions |= {file: filled(file, words_of(model, file, router)) for file in CODE}
    if request.by_hand:
        additions |= code_by_hand(model, router)
        additions["service.py"] = with_schemas(additions["service.py"], model)
        for template, text in templates_by_hand(model, texts.project).items():
            if template.exists():
                raise OperatorError(f"There is {texts.shown(template)} already: choose another name.")
            texts[template] = text
    for file, addition in additions.items():
        _change(texts, folder / file, partial(merged, addition=addition))
    entries = entries_of(model, request, router)
    with _refusing(texts, folder / "feature.py"):
        takes = takes_owner(texts[folder / "feature.py"])
    if "personal_data" in entries and not takes:
        del entries["personal_data"]
        columns = ", ".join(f"{model.name}.{column}" for column in model.personal_columns)
        texts.by_hand.append(f"the owners of its personal data: {columns}")
    _change(texts, folder / "feature.py", lambda text: with_model(text, f"{PACKAGE}.{model.feature}", entries))
    names = (f"test_{model.things}.py", f"test_{model.thing}_rows.py")
    texts[next(path for name in names if not (path := tests / name).exists())] = tests_module(model)
    texts[tests / "access.txt"] = access_table(model, texts[tests / "access.txt"], by_hand=request.by_hand)
    for target in (each.target for each in model.fields if each.holds):
        if target and target.path:
            table = texts.project / "tests" / target.feature / "access.txt"
            texts[table] = undeletable(texts[table], target.path, belongs_to_team=target.belongs_to_team)
    for package in (folder, tests):
        if not (package / "__init__.py").exists():
            texts[package / "__init__.py"] = ""


def _read(texts: _Texts, path: Path) -> Source:
    return read_source(texts[path], texts.shown(path))


@contextmanager
def _refusing(texts: _Texts, path: Path) -> Iterator[None]:
    """Turn what a file lacks into an OperatorError."""
    _read(texts, path)
    try:
        yield
    except NotAsExpected as error:
        raise OperatorError(f"{texts.shown(path)} {error}. Nothing was changed.") from error


def _change(texts: _Texts, path: Path, change: Callable[[str], str]) -> None:
    with _refusing(texts, path):
        texts[path] = change(texts[path])


def words_of(model: NewModel, file: str, router: str) -> dict[str, str]:
    """Return the words for the template of a file."""
    words = model.words | {"router": router, "says_who": model.says_who()}
    if file == "service.py":
        options = [*model.service_options()] or ["pass"]
        words["crud"] = "Access, Crud" if any("Access." in line for line in options) else "Crud"
        words["options"] = "\n".join(f"    {line}" for line in options)
    elif file == "pages.py":
        words["columns"] = as_tuple(model.columns(), before="columns = ")
    elif file == "admin.py":
        words["options"] = "\n".join(f"    {line}" for line in model.admin_options())
    return words


def entries_of(model: NewModel, request: Request, router: str) -> dict[str, str]:
    """Return the entries of `Feature(…)` for the model."""
    many = [f"models.{name}" for name in (model.name, *links_of(model))]
    entries = {
        "models": ", ".join(many),
        "pages": f"pages.{router}",
        "api": f"api.{router}",
        "admin": f"admin.{model.name}Admin",
    }
    if request.navigation:
        entries["navigation"] = navigation_link(model)
    if model.personal_columns:
        columns = ", ".join(f"models.{model.name}.{column}" for column in model.personal_columns)
        entries["personal_data"] = f'PersonalData(summary="{model.personal_summary}", owners=[{columns}])'
    if request.group:
        entries["groups"] = f'"{request.group}": {{"{model.words["identity"]}": "*"}}'
    return entries


def navigation_link(model: NewModel) -> str:
    """Return the code of a link that only users who may read the list see."""
    right = f', right=("{model.words["identity"]}", "list")'
    condition = {"anyone": "", "permitted": right}.get(model.read, ", signed_in=True")
    return f'Link("{model.label}", "{model.path}", "{model.icon}"{condition})'
