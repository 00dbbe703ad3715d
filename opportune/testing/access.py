"""Tables of the response of each URL to each role.

`oppman.py test --accept-access` writes the tables. Each feature of the project has one beside its tests. The table of
the framework is `tests/opportune/security/access.txt`.
"""

import asyncio
import logging
import re
import sqlite3
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqladmin import ModelView
from starlette.routing import Mount

from opportune.accounts.dependencies import LOGIN_PATH
from opportune.accounts.models import User
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.sessions.service import create_session
from opportune.admin.middleware import ADMIN_PATH
from opportune.admin.site import AdminSite
from opportune.application import create_app
from opportune.cli.development.routes import WEBSOCKET, find_rows
from opportune.cli.output import say
from opportune.config.base_settings import BaseSettings
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.models.versioned import Versioned
from opportune.errors import OperatorError
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import PROJECT, display_path, feature_folder, installed_features, installed_names, origin
from opportune.testing.asgi_requests import Response, send_request
from opportune.testing.factories import make_user
from opportune.testing.migrations import migrate
from opportune.testing.plugin import settings_for
from opportune.testing.sample_rows import ROW_ID, SAMPLE_WORD, insert_sample_rows
from opportune.web.security_log import logger as security_logger

FRAMEWORK_TABLE = PROJECT / "tests/opportune/security/access.txt"
ROLES = ("anonymous", "user", "owner", "staff", "superuser")
"""Roles of clients. The owner has one row of each table, the user has none, and staff have no permissions."""
SIGN_IN_REDIRECT = "sign-in"
"""Word in the tables for a redirect to the sign-in page."""
REFUSALS = (SIGN_IN_REDIRECT, "401", "403", "404", "405")
"""Responses to requests that change no rows."""
JSON_ERRORS = {"accept": "application/json"}
"""Header that requests JSON errors, which take less time than pages."""
ROLES_REFUSED_BY_ADMIN = ("user", "owner", "staff")
PARAMETER = re.compile(r"{(\w+)(:\w+)?}")
OPTIONAL_PAGES = {"/{identity}/trash": SoftDelete, "/{identity}/version/": Versioned}
"""Base classes of the models that have these pages in the admin."""
SHARED_PAGES = re.compile(r"/{identity}/(ajax|cell|columns|editors|edit-page|edit-selected|row|views)\b")
"""Pages of the admin without rules of a model. The tables list those of one model."""
SHARED_PAGES_IDENTITY = "group"
PATH_VALUES = {"identity": SAMPLE_WORD, "export_type": "csv"}

Table = dict[tuple[str, str], "TableLine"]
Headers = Mapping[str, str]
RoleRequest = tuple[str, str, str]
"""Method, path, and role of the client."""


class TableLine(NamedTuple):
    source: str
    """Feature or part of the site that defines the route."""
    method: str
    path: str
    results: tuple[str, ...]
    """Status for each role, or `sign-in`."""

    def __str__(self) -> str:
        results = " ".join(f"{result:9}" for result in self.results)
        return f"{self.source:9} {self.method:6} {self.path:62} {results}".rstrip()


HEADING = TableLine("from", "method", "address", ROLES)


def table_file(source: str) -> Path:
    """Return the file of a feature's table. Features of the framework share one."""
    if not is_project_feature(source):
        return FRAMEWORK_TABLE
    package = feature_packages().get(source)
    return (Path(package) / "tests" if package else PROJECT / "tests" / source) / FRAMEWORK_TABLE.name


def is_project_feature(source: str) -> bool:
    """Return whether the code of a feature is in the project, or in a folder outside of the environment."""
    folder = feature_folder(source)
    return folder.is_dir() and not folder.is_relative_to(sysconfig.get_path("purelib"))


def read_tables() -> Table:
    """Return the committed tables."""
    files = dict.fromkeys([FRAMEWORK_TABLE, *map(table_file, installed_names())])
    lines = (
        line.split() for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines()[1:]
    )
    return {(method, path): TableLine(source, method, path, tuple(results)) for source, method, path, *results in lines}


async def differences(template: Path, folder: Path) -> list[str]:
    """Return the lines of the project's features that differ from the committed tables, including removed ones."""
    file = folder / "site.db"
    copy_sqlite_file(template, file)
    app = sqlite_site(file)
    async with app.router.lifespan_context(app):
        try:
            rows = await request_all_routes(app, file, is_project_feature)
        except OperatorError as error:
            pytest.fail(str(error), pytrace=False)
    committed = {key: line for key, line in read_tables().items() if is_project_feature(line.source)}
    changed = [str(line) for key, line in rows.items() if committed.get(key) != line]
    return changed + [f"{line} (gone)" for key, line in committed.items() if key not in rows]


async def request_all_routes(
    app: FastAPI,
    file: Path,
    is_included: Callable[[str], bool] = lambda _source: True,
    known_result_of: Callable[[RoleRequest], str | None] = lambda _request: None,
) -> Table:
    """Request all URLs of a started site, for each role.

    Args:
        app: The site.
        file: The SQLite file of the site, with all tables and no rows.
        is_included: Returns whether to request the URLs of a feature.
        known_result_of: Returns the result of a request that need not be sent, or None to send it.
    """
    headers = await headers_by_role(app)
    admin_headers = headers | {role: {**headers[role], **JSON_ERRORS} for role in ROLES_REFUSED_BY_ADMIN}
    backup = file.with_suffix(".filled")
    copy_sqlite_file(file, backup)
    table: Table = {}
    with closing(sqlite3.connect(file)) as connection, _without_security_log():
        version = _data_version(connection)
        for source, method, path in list_addresses(app):
            if not is_included(source):
                continue
            results = []
            role_headers = admin_headers if path.startswith(ADMIN_PATH) else headers
            for role in ROLES:
                result = known_result_of((method, path, role))
                if result is None:
                    result = status_word(await send_request(app, method, example_path(path), role_headers[role]))
                    if method != "GET" and result not in REFUSALS and _data_version(connection) != version:
                        copy_sqlite_file(backup, file)  # undo the changes of the request
                        version = _data_version(connection)
                results.append(result)
            table[method, path] = TableLine(source, method, path, tuple(results))
    return table


@contextmanager
def _without_security_log() -> Iterator[None]:
    """Do not log refused requests in the block, which are expected and many."""
    level = security_logger.level
    security_logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        security_logger.setLevel(level)


def _data_version(connection: sqlite3.Connection) -> object:
    """Return a number that changes when another connection writes."""
    return connection.execute("PRAGMA data_version").fetchone()


async def headers_by_role(app: FastAPI) -> dict[str, Headers]:
    """Create sample rows and a user for each role, and return the request headers by role."""
    database = app.state.database
    owner = await insert_sample_rows(database, app.state.features)
    users = {"owner": owner, "user": await make_user(database), "staff": await make_user(database, is_staff=True)}
    users["superuser"] = await make_user(database, is_superuser=True)
    return {"anonymous": {}} | {role: await session_headers(app, user) for role, user in users.items()}


async def session_headers(app: FastAPI, user: User) -> Headers:
    async with app.state.database.writer() as session:
        token = await create_session(session, app.state.settings, user)
    return {"cookie": f"{cookie_name(app.state.settings)}={token}"}


def status_word(result: Response) -> str:
    return SIGN_IN_REDIRECT if result.headers.get("location", "").startswith(f"{LOGIN_PATH}?") else str(result.status)


def list_addresses(app: FastAPI) -> list[tuple[str, str, str]]:
    """Return source, method and path of each route. The admin's routes with rules of a model are listed for each."""
    rows: set[tuple[str, str, str]] = set()
    for row in find_rows(app.routes):
        for method in set(row.methods.split(",")) - {"HEAD", "OPTIONS", "ANY", WEBSOCKET}:
            rows.update((source, method, path) for source, path in _paths_by_model(app, row.origin, row.path))
    return sorted(rows, key=lambda row: (row[2], row[1]))


def _paths_by_model(app: FastAPI, source: str, path: str) -> Iterator[tuple[str, str]]:
    if "{identity}" not in path:
        yield source, path
        return
    for view in admin_of(app).views:
        if isinstance(view, ModelView) and _has_page(view, path):
            yield origin(type(view).__mro__[1]), path.replace("{identity}", view.identity)


def _has_page(view: ModelView, path: str) -> bool:
    """Return whether to list the page for this view. Only views of some models have a trash and versions."""
    if SHARED_PAGES.search(path):
        return bool(view.identity == SHARED_PAGES_IDENTITY)
    return all(issubclass(view.model, base) for page, base in OPTIONAL_PAGES.items() if page in path)


def admin_of(app: FastAPI) -> AdminSite:
    """Return the admin of an app."""
    mount = next(route for route in app.routes if isinstance(route, Mount) and route.path == ADMIN_PATH)
    endpoint_owners = (getattr(context.endpoint, "__self__", None) for context in iter_route_contexts(mount.routes))
    return next(owner for owner in endpoint_owners if isinstance(owner, AdminSite))


def example_path(path: str) -> str:
    """Fill the parameters of a path with values of the sample rows."""

    def example_value(match: re.Match[str]) -> str:
        name = match[1]
        return PATH_VALUES.get(name) or (str(ROW_ID) if name == "pk" or name.endswith("_id") else SAMPLE_WORD)

    return PARAMETER.sub(example_value, path)


def copy_sqlite_file(source: Path, target: Path) -> None:
    """Copy an SQLite file over another one, even if a site has it open."""
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as destination:
        original.backup(destination)


def sqlite_site(file: Path, **settings: object) -> FastAPI:
    return site_with_database(f"sqlite:///{file}", **settings)


def feature_settings_without_databases() -> Iterator[BaseSettings]:
    """Yield the settings of features, with databases that do not exist."""
    for feature in installed_features():
        if model := feature.settings:
            names = [name for name in model.model_fields if name.endswith("_database_url")]
            missing: dict[str, Any] = dict.fromkeys(names, "sqlite:///./nowhere.db")
            yield model(**missing)


def site_with_database(url: str, **settings: object) -> FastAPI:
    """Return the site without jobs, language models and the settings of this machine."""
    changes = {"jobs": "off", "llm_base_url": "http://127.0.0.1:9", **settings}
    return create_app(settings_for(url, *feature_settings_without_databases()).model_copy(update=changes))


async def write_tables(write: Callable[[Path, str], object]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "site.db"
        migrate(f"sqlite:///{file}")
        app = sqlite_site(file)
        async with app.router.lifespan_context(app):
            table = await request_all_routes(app, file)
    for file in dict.fromkeys([FRAMEWORK_TABLE, *(table_file(line.source) for line in table.values())]):
        if not file.parent.is_dir():
            continue  # a project has no tests of the framework
        lines = [str(line) for line in table.values() if table_file(line.source) == file]
        write(file, "".join(f"{line}\n" for line in (HEADING, *lines)))


def accept(file: Path, text: str) -> bool:
    """Write a table if it differs, and print its new, changed and removed lines. Return whether it differs."""
    committed = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    lines = text.splitlines()
    keys = {tuple(line.split()[:3]) for line in lines}
    changed = [line for line in lines[1:] if line not in committed]
    changed += [f"{line} (gone)" for line in committed[1:] if tuple(line.split()[:3]) not in keys]
    if lines == committed:
        return False
    file.write_text(text, encoding="utf-8")
    say(f"{display_path(file)}: {len(changed)} changed. Review the lines before you commit them:")
    for line in (lines[0], *changed):
        say(f"  {line}")
    return True


def main() -> None:
    written: list[Path] = []

    def write(file: Path, text: str) -> None:
        if accept(file, text):
            written.append(file)

    try:
        asyncio.run(write_tables(write))
    except OperatorError as error:
        sys.exit(error.with_advice)
    if not written:
        say("All responses match the tables.")


if __name__ == "__main__":
    main()
