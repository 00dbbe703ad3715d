"""Table of the status of every address of the site for each role.

`python -m opportune.testing.access` writes the tables: those of features beside their tests, that of the framework
beside its own.
"""

import asyncio
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
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
from opportune.admin.mount import ADMIN_PATH
from opportune.admin.site import AdminSite
from opportune.application import create_app
from opportune.cli.development.routes import WEBSOCKET, find_rows
from opportune.config.base_settings import BaseSettings
from opportune.config.project import PACKAGE, PROJECT, installed_features, installed_names, origin
from opportune.errors import OperatorError
from opportune.testing.asgi_requests import Response, send_request
from opportune.testing.factories import make_user
from opportune.testing.plugin import migrate, settings_for
from opportune.testing.sample_rows import A_WORD, ROW_ID, fill

TABLE = PROJECT / "tests/opportune/security/access.txt"
ROLES = ("anonymous", "user", "owner", "staff", "superuser")
"""Roles. A user owns no rows, an owner one row of each table. Staff have no grants."""
TO_SIGN_IN = "sign-in"
"""Redirects of routes that end at another page."""
UNCHANGED = (TO_SIGN_IN, "401", "403", "404", "405")
IN_A_LINE = {"accept": "application/json"}
"""Requests JSON errors, which take less time than pages."""
REFUSED_IN_ADMIN = ("user", "owner", "staff")
PARAMETER = re.compile(r"{(\w+)(:\w+)?}")
NAMED = {"identity": A_WORD, "export_type": "csv"}

Table = dict[tuple[str, str], "Line"]
Headers = Mapping[str, str]
Asked = tuple[str, str, str]
"""A method, a path, and the role of the client."""


class Line(NamedTuple):
    source: str
    """The feature or part of the site with the route."""
    method: str
    path: str
    results: tuple[str, ...]
    """A status for each role, or `sign-in`."""

    def __str__(self) -> str:
        return (
            f"{self.source:9} {self.method:6} {self.path:62} {' '.join(f'{each:9}' for each in self.results)}".rstrip()
        )


HEADING = Line("from", "method", "address", ROLES)


def table_of(source: str) -> Path:
    """Return the file with the lines of a feature, beside its tests if it belongs to the project."""
    return PROJECT / "tests" / source / TABLE.name if is_of_project(source) else TABLE


def is_of_project(source: str) -> bool:
    return (PROJECT / PACKAGE / source).is_dir()


def read() -> Table:
    """Return the committed tables."""
    files = dict.fromkeys([TABLE, *map(table_of, installed_names())])
    lines = (
        line.split() for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines()[1:]
    )
    return {(method, path): Line(source, method, path, tuple(results)) for source, method, path, *results in lines}


async def differences(template: Path, folder: Path) -> list[str]:
    """Return the lines of the project's features that differ from their tables, also of removed addresses."""
    file = folder / "site.db"
    copy(template, file)
    app = site_on(file)
    async with app.router.lifespan_context(app):
        try:
            rows = await walk(app, file, is_of_project)
        except OperatorError as error:
            pytest.fail(str(error), pytrace=False)
    committed = {key: line for key, line in read().items() if is_of_project(line.source)}
    changed = [str(line) for key, line in rows.items() if committed.get(key) != line]
    return changed + [f"{line} (gone)" for key, line in committed.items() if key not in rows]


async def walk(
    app: FastAPI,
    file: Path,
    is_included: Callable[[str], bool] = lambda _source: True,
    result_of: Callable[[Asked], str | None] = lambda _asked: None,
) -> Table:
    """Request all addresses of a started app with an SQLite file that has all tables and no rows.

    Args:
        app: The site.
        file: Its database.
        is_included: Return whether the addresses of this feature are requested.
        result_of: Return a result that needs no request, or None.
    """
    people = await everyone(app)
    in_admin = people | {role: {**people[role], **IN_A_LINE} for role in REFUSED_IN_ADMIN}
    filled = file.with_suffix(".filled")
    copy(file, filled)
    table: Table = {}
    with closing(sqlite3.connect(file)) as watching:
        as_filled = _version(watching)
        for source, method, path in addresses(app):
            if not is_included(source):
                continue
            results = []
            asking = in_admin if path.startswith(ADMIN_PATH) else people
            for role in ROLES:
                if existing := result_of((method, path, role)):
                    results.append(existing)
                    continue
                results.append(status_word(await send_request(app, method, example(path), asking[role])))
                if method != "GET" and results[-1] not in UNCHANGED and _version(watching) != as_filled:
                    copy(filled, file)
                    as_filled = _version(watching)
            table[method, path] = Line(source, method, path, tuple(results))
    return table


def _version(watching: sqlite3.Connection) -> object:
    """Return a number that changes when another connection has written."""
    return watching.execute("PRAGMA data_version").fetchone()


async def everyone(app: FastAPI) -> dict[str, Headers]:
    """Return the headers of the browser of each role."""
    database = app.state.database
    owner = await fill(database, app.state.features)
    people = {"owner": owner, "user": await make_user(database), "staff": await make_user(database, is_staff=True)}
    people["superuser"] = await make_user(database, is_superuser=True)
    return {"anonymous": {}} | {role: await signed_in(app, user) for role, user in people.items()}


async def signed_in(app: FastAPI, user: User) -> Headers:
    async with app.state.database.writer() as session:
        token = await create_session(session, app.state.settings, user)
    return {"cookie": f"{cookie_name(app.state.settings)}={token}"}


def status_word(result: Response) -> str:
    return TO_SIGN_IN if result.headers.get("location", "").startswith(f"{LOGIN_PATH}?") else str(result.status)


def addresses(app: FastAPI) -> list[tuple[str, str, str]]:
    """Return source, method and path of each route. Those of the admin are expanded for every model."""
    rows: set[tuple[str, str, str]] = set()
    for row in find_rows(app.routes):
        for method in set(row.methods.split(",")) - {"HEAD", "OPTIONS", "ANY", WEBSOCKET}:
            rows.update((source, method, path) for source, path in _each_model(app, row.origin, row.path))
    return sorted(rows, key=lambda each: (each[2], each[1]))


def _each_model(app: FastAPI, source: str, path: str) -> Iterator[tuple[str, str]]:
    if "{identity}" not in path:
        yield source, path
        return
    for view in site_of(app).views:
        if isinstance(view, ModelView):
            yield origin(type(view).__mro__[1]), path.replace("{identity}", view.identity)


def site_of(app: FastAPI) -> AdminSite:
    """Return the feature of an admin endpoint."""
    mount = next(route for route in app.routes if isinstance(route, Mount) and route.path == ADMIN_PATH)
    owners = (getattr(context.endpoint, "__self__", None) for context in iter_route_contexts(mount.routes))
    return next(owner for owner in owners if isinstance(owner, AdminSite))


def example(path: str) -> str:
    """Return an address with ids of the rows of `rows`."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return NAMED.get(name) or (str(ROW_ID) if name == "pk" or name.endswith("_id") else A_WORD)

    return PARAMETER.sub(value, path)


def copy(source: Path, target: Path) -> None:
    """Copy an SQLite file over another one, which a site may have open."""
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as copied:
        read.backup(copied)


def site_on(file: Path, **settings: object) -> FastAPI:
    return site_at(f"sqlite:///{file}", **settings)


def of_features() -> Iterator[BaseSettings]:
    """Return settings of features without databases."""
    for feature in installed_features():
        if model := feature.settings:
            names = [name for name in model.model_fields if name.endswith("_database_url")]
            nowhere: dict[str, Any] = dict.fromkeys(names, "sqlite:///./nowhere.db")
            yield model(**nowhere)


def site_at(url: str, **settings: object) -> FastAPI:
    """Return the site without jobs, models and settings of this machine."""
    nowhere = {"llm_base_url": "http://127.0.0.1:9"}
    return create_app(settings_for(url, *of_features()).model_copy(update={"jobs": "off", **nowhere, **settings}))


async def write(say: Callable[[Path, str], object]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "site.db"
        migrate(f"sqlite:///{file}")
        app = site_on(file)
        async with app.router.lifespan_context(app):
            table = await walk(app, file)
    for file in dict.fromkeys([TABLE, *(table_of(line.source) for line in table.values())]):
        if not file.parent.is_dir():
            continue  # a project has no tests of the framework
        lines = [str(line) for line in table.values() if table_of(line.source) == file]
        say(file, "".join(f"{line}\n" for line in (HEADING, *lines)))


def main() -> None:
    try:
        asyncio.run(write(lambda file, text: file.write_text(text, encoding="utf-8")))
    except OperatorError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
