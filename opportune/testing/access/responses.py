"""Responses of all URLs of a site to each role, and example URLs for its routes."""

import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqladmin import ModelView
from starlette.routing import Mount

from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.admin.middleware import ADMIN_PATH
from opportune.admin.site import AdminSite
from opportune.cli.development.routes import WEBSOCKET, find_rows
from opportune.db.models.model import Versioned
from opportune.db.models.soft_delete import SoftDelete
from opportune.errors import OperatorError
from opportune.project.access_lines import ROLES, SIGN_IN, AccessLine
from opportune.project.layout import origin
from opportune.testing.access.sites import copy_sqlite_file, headers_by_role
from opportune.testing.access.table import Table
from opportune.testing.asgi_requests import Response, send_request
from opportune.testing.sample_rows import ROW_ID, SAMPLE_WORD
from opportune.web.middleware.request_log import security_logger

REFUSALS = (SIGN_IN, "401", "403", "404", "405")
"""Responses to requests that change no rows."""
JSON_ERRORS = {"accept": "application/json"}
"""Header that requests JSON errors, which take less time than pages."""
REFUSED_BY_ADMIN = {"anonymous": SIGN_IN, "user": "403", "owner": "403", "staff": "403"}
"""Results of the roles without permissions in the admin. The tables list only pages with other results."""

RoleRequest = tuple[str, str, str]
"""Method, path, and role of the client."""

NOT_LISTED = {"HEAD", "OPTIONS", "ANY", WEBSOCKET}
"""Methods of routes that are not in the tables."""
PARAMETER = re.compile(r"{(\w+)(:\w+)?}")
PATH_VALUES = {"identity": SAMPLE_WORD, "export_type": "csv"}
OPTIONAL_PAGES = {"/{identity}/trash": SoftDelete, "/{identity}/version/": Versioned}
"""Base classes of the models that have these pages in the admin."""
SHARED_PAGES = re.compile(r"/{identity}/(ajax|cell|columns|editors|edit-page|edit-selected|row|views)\b")
"""Pages of the admin without rules of a model. The tables list those of one model."""
SHARED_PAGES_IDENTITY = "group"


async def request_all_routes(
    app: FastAPI,
    file: Path,
    is_included: Callable[[str], bool] = lambda _source: True,
    known_result_of: Callable[[RoleRequest], str | None] = lambda _request: None,
) -> Table:
    """Request all URLs of a started site as each role. Pages of the admin that refuse users are not in the table.

    Args:
        app: The site.
        file: The SQLite file of the site, with all tables and no rows.
        is_included: Returns whether to request the URLs of a feature.
        known_result_of: Returns the result of a request that need not be sent, or None to send it.

    Raises:
        OperatorError: A route fails.
    """
    headers = await headers_by_role(app)
    signed_in = REFUSED_BY_ADMIN.keys() - {"anonymous"}
    admin_headers = headers | {role: {**headers[role], **JSON_ERRORS} for role in signed_in}
    table: Table = {}
    with closing(_Backup(file)) as backup, _without_security_log():

        async def request_as(role: str, method: str, path: str) -> str:
            if (result := known_result_of((method, path, role))) is not None:
                return result
            role_headers = admin_headers[role] if path.startswith(ADMIN_PATH) else headers[role]
            result = status_word(await send_request(app, method, example_path(path), role_headers))
            if result == "500":
                advice = "Correct the error above, or give its row other values in data=Data(sample_rows={…})."
                raise OperatorError(f"{method} {path} fails for {role}. {advice}")
            if method != "GET" and result not in REFUSALS:
                backup.restore()
            return result

        for source, method, path in list_addresses(app):
            if not is_included(source):
                continue
            results = {role: await request_as(role, method, path) for role in ROLES}
            is_refused = REFUSED_BY_ADMIN.items() <= results.items()
            if not (is_refused and path.startswith(ADMIN_PATH)):
                table[method, path] = AccessLine(source, method, path, tuple(results.values()))
    return table


def status_word(response: Response) -> str:
    is_sign_in = response.headers.get("location", "").startswith(f"{LOGIN_PATH}?")
    return SIGN_IN if is_sign_in else str(response.status)


class _Backup:
    """A copy of an SQLite file, to undo the changes of other connections."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._copy = file.with_suffix(".filled")
        copy_sqlite_file(file, self._copy)
        self._connection = sqlite3.connect(file)
        self._version = self._data_version()

    def restore(self) -> None:
        if self._data_version() != self._version:
            copy_sqlite_file(self._copy, self._file)
            self._version = self._data_version()

    def close(self) -> None:
        self._connection.close()

    def _data_version(self) -> object:
        """Return a number that changes when another connection writes."""
        return self._connection.execute("PRAGMA data_version").fetchone()


@contextmanager
def _without_security_log() -> Iterator[None]:
    """Do not log refused requests in the block, which are expected and many."""
    level = security_logger.level
    security_logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        security_logger.setLevel(level)


def list_addresses(app: FastAPI) -> list[tuple[str, str, str]]:
    """Return source, method and path of each route. The admin's routes with rules of a model are listed for each."""
    addresses: set[tuple[str, str, str]] = set()
    for row in find_rows(app.routes):
        paths = [*_paths_by_model(app, row.path)] if "{identity}" in row.path else [(row.origin, row.path)]
        for method in set(row.methods.split(",")) - NOT_LISTED:
            addresses.update((source, method, path) for source, path in paths)
    return sorted(addresses, key=lambda address: (address[2], address[1]))


def _paths_by_model(app: FastAPI, path: str) -> Iterator[tuple[str, str]]:
    """Yield source and path of an admin page for each model."""
    for view in admin_of(app).views:
        if isinstance(view, ModelView) and _has_page(view, path):
            declared_class = type(view).__base__  # the site extends it
            yield origin(declared_class), path.replace("{identity}", view.identity)


def _has_page(view: ModelView, path: str) -> bool:
    """Return whether to list the page for this view. Only views of some models have a trash and versions."""
    if SHARED_PAGES.search(path):
        return bool(view.identity == SHARED_PAGES_IDENTITY)
    return all(issubclass(view.model, base) for page, base in OPTIONAL_PAGES.items() if page in path)


def admin_of(app: FastAPI) -> AdminSite:
    mount = next(route for route in app.routes if isinstance(route, Mount) and route.path == ADMIN_PATH)
    endpoint_owners = (getattr(context.endpoint, "__self__", None) for context in iter_route_contexts(mount.routes))
    return next(owner for owner in endpoint_owners if isinstance(owner, AdminSite))


def example_path(path: str) -> str:
    """Fill the parameters of a path with values of the sample rows."""
    return PARAMETER.sub(lambda parameter: _example_value(parameter[1]), path)


def _example_value(name: str) -> str:
    if name == "pk" or name.endswith("_id"):
        return str(ROW_ID)
    return PATH_VALUES.get(name, SAMPLE_WORD)
