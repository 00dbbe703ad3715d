"""Who is answered what at every address of the site.

`python -m opportune.testing.access` writes it down anew: each feature's with its tests, and the framework's with its
own, where they are.
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
"""A user owns nothing, an owner every row that can have one. Staff have no grants."""
TO_SIGN_IN = "sign-in"
"""What is told by 303 to the page where that is done."""
UNCHANGED = (TO_SIGN_IN, "401", "403", "404", "405")
IN_A_LINE = {"accept": "application/json"}
"""Has a refusal as a program gets it, which costs less than its page."""
REFUSED_IN_ADMIN = ("user", "owner", "staff")
PARAMETER = re.compile(r"{(\w+)(:\w+)?}")
NAMED = {"identity": A_WORD, "export_type": "csv"}

Table = dict[tuple[str, str], "Line"]
Headers = Mapping[str, str]
Asked = tuple[str, str, str]
"""A method, a path, and the role of who asks."""


class Line(NamedTuple):
    source: str
    """The feature, or the part of the site, that answers."""
    method: str
    path: str
    answers: tuple[str, ...]
    """A status for each role, or `sign-in`."""

    def __str__(self) -> str:
        return (
            f"{self.source:9} {self.method:6} {self.path:62} {' '.join(f'{each:9}' for each in self.answers)}".rstrip()
        )


HEADING = Line("from", "method", "address", ROLES)


def table_of(source: str) -> Path:
    """Where the lines of a feature are: with its tests, if it is the project's."""
    return PROJECT / "tests" / source / TABLE.name if is_of_project(source) else TABLE


def is_of_project(source: str) -> bool:
    return (PROJECT / PACKAGE / source).is_dir()


def read() -> Table:
    """The tables as they are committed."""
    files = dict.fromkeys([TABLE, *map(table_of, installed_names())])
    lines = (
        line.split() for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines()[1:]
    )
    return {(method, path): Line(source, method, path, tuple(answers)) for source, method, path, *answers in lines}


async def differences(template: Path, folder: Path) -> list[str]:
    """Return the lines of the project's features that differ from their tables, also of addresses that are gone."""
    file = folder / "site.db"
    copy(template, file)
    app = site_on(file)
    async with app.router.lifespan_context(app):
        try:
            found = await walk(app, file, is_of_project)
        except OperatorError as error:
            pytest.fail(str(error), pytrace=False)
    committed = {key: line for key, line in read().items() if is_of_project(line.source)}
    changed = [str(line) for key, line in found.items() if committed.get(key) != line]
    return changed + [f"{line} (gone)" for key, line in committed.items() if key not in found]


async def walk(
    app: FastAPI,
    file: Path,
    is_asked: Callable[[str], bool] = lambda _source: True,
    answer_of: Callable[[Asked], str | None] = lambda _asked: None,
) -> Table:
    """Ask the addresses of a started app that come from these, whose SQLite file has all tables and no rows.

    Args:
        app: The site.
        file: Its database.
        is_asked: Whether the addresses of this feature are.
        answer_of: The answer where it need not be asked for, or nothing.
    """
    people = await everyone(app)
    in_admin = people | {role: {**people[role], **IN_A_LINE} for role in REFUSED_IN_ADMIN}
    filled = file.with_suffix(".filled")
    copy(file, filled)
    table: Table = {}
    with closing(sqlite3.connect(file)) as watching:
        as_filled = _version(watching)
        for source, method, path in addresses(app):
            if not is_asked(source):
                continue
            answers = []
            asking = in_admin if path.startswith(ADMIN_PATH) else people
            for role in ROLES:
                if known := answer_of((method, path, role)):
                    answers.append(known)
                    continue
                answers.append(in_a_word(await send_request(app, method, example(path), asking[role])))
                if method != "GET" and answers[-1] not in UNCHANGED and _version(watching) != as_filled:
                    copy(filled, file)
                    as_filled = _version(watching)
            table[method, path] = Line(source, method, path, tuple(answers))
    return table


def _version(watching: sqlite3.Connection) -> object:
    """Another one when somebody else has written."""
    return watching.execute("PRAGMA data_version").fetchone()


async def everyone(app: FastAPI) -> dict[str, Headers]:
    """What the browser of each role sends."""
    database = app.state.database
    owner = await fill(database, app.state.features)
    people = {"owner": owner, "user": await make_user(database), "staff": await make_user(database, is_staff=True)}
    people["superuser"] = await make_user(database, is_superuser=True)
    return {"anonymous": {}} | {role: await signed_in(app, person) for role, person in people.items()}


async def signed_in(app: FastAPI, user: User) -> Headers:
    async with app.state.database.writer() as session:
        token = await create_session(session, app.state.settings, user)
    return {"cookie": f"{cookie_name(app.state.settings)}={token}"}


def in_a_word(answer: Response) -> str:
    return TO_SIGN_IN if answer.headers.get("location", "").startswith(f"{LOGIN_PATH}?") else str(answer.status)


def addresses(app: FastAPI) -> list[tuple[str, str, str]]:
    """Source, method and path of each, those of the admin once for every model."""
    found: set[tuple[str, str, str]] = set()
    for row in find_rows(app.routes):
        for method in set(row.methods.split(",")) - {"HEAD", "OPTIONS", "ANY", WEBSOCKET}:
            found.update((source, method, path) for source, path in _each_model(app, row.origin, row.path))
    return sorted(found, key=lambda each: (each[2], each[1]))


def _each_model(app: FastAPI, source: str, path: str) -> Iterator[tuple[str, str]]:
    if "{identity}" not in path:
        yield source, path
        return
    for view in site_of(app).views:
        if isinstance(view, ModelView):
            yield origin(type(view).__mro__[1]), path.replace("{identity}", view.identity)


def site_of(app: FastAPI) -> AdminSite:
    """The admin: whose its endpoints are."""
    mount = next(route for route in app.routes if isinstance(route, Mount) and route.path == ADMIN_PATH)
    owners = (getattr(context.endpoint, "__self__", None) for context in iter_route_contexts(mount.routes))
    return next(owner for owner in owners if isinstance(owner, AdminSite))


def example(path: str) -> str:
    """The address of what `rows` makes."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return NAMED.get(name) or (str(ROW_ID) if name == "pk" or name.endswith("_id") else A_WORD)

    return PARAMETER.sub(value, path)


def copy(source: Path, target: Path) -> None:
    """One SQLite file over another, also under a site that has it open."""
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


def site_on(file: Path, **settings: object) -> FastAPI:
    return site_at(f"sqlite:///{file}", **settings)


def of_features() -> Iterator[BaseSettings]:
    """The settings of features whose databases are nowhere."""
    for feature in installed_features():
        if kind := feature.settings:
            names = [name for name in kind.model_fields if name.endswith("_database_url")]
            nowhere: dict[str, Any] = dict.fromkeys(names, "sqlite:///./nowhere.db")
            yield kind(**nowhere)


def site_at(url: str, **settings: object) -> FastAPI:
    """It does no jobs, asks no model, and reads nothing that this machine happens to have."""
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
