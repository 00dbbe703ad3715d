"""Responses of all URLs of a site to each role."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI

from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.admin.middleware import ADMIN_PATH
from opportune.testing.access.addresses import example_path, list_addresses
from opportune.testing.access.roles import ROLES, headers_by_role
from opportune.testing.access.sites import copy_sqlite_file
from opportune.testing.access.table import Table, TableLine
from opportune.testing.asgi_requests import Response, send_request
from opportune.web.middleware.request_log import logger as security_logger

SIGN_IN_REDIRECT = "sign-in"
"""Word in the tables for a redirect to the sign-in page."""
REFUSALS = (SIGN_IN_REDIRECT, "401", "403", "404", "405")
"""Responses to requests that change no rows."""
JSON_ERRORS = {"accept": "application/json"}
"""Header that requests JSON errors, which take less time than pages."""
ROLES_REFUSED_BY_ADMIN = ("user", "owner", "staff")

RoleRequest = tuple[str, str, str]
"""Method, path, and role of the client."""


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
    table: Table = {}
    with _unchanged_rows(file) as undo_changes, _without_security_log():

        async def request_as(role: str, method: str, path: str) -> str:
            if (result := known_result_of((method, path, role))) is not None:
                return result
            role_headers = admin_headers[role] if path.startswith(ADMIN_PATH) else headers[role]
            result = status_word(await send_request(app, method, example_path(path), role_headers))
            if method != "GET" and result not in REFUSALS:
                undo_changes()
            return result

        for source, method, path in list_addresses(app):
            if is_included(source):
                results = tuple([await request_as(role, method, path) for role in ROLES])
                table[method, path] = TableLine(source, method, path, results)
    return table


def status_word(response: Response) -> str:
    is_sign_in = response.headers.get("location", "").startswith(f"{LOGIN_PATH}?")
    return SIGN_IN_REDIRECT if is_sign_in else str(response.status)


@contextmanager
def _unchanged_rows(file: Path) -> Iterator[Callable[[], None]]:
    """Yield a function that restores the rows of an SQLite file, if another connection has changed them."""
    backup = file.with_suffix(".filled")
    copy_sqlite_file(file, backup)
    connection = sqlite3.connect(file)

    def data_version() -> object:
        """Return a number that changes when another connection writes."""
        return connection.execute("PRAGMA data_version").fetchone()

    version = data_version()

    def undo_changes() -> None:
        nonlocal version
        if data_version() != version:
            copy_sqlite_file(backup, file)
            version = data_version()

    try:
        yield undo_changes
    finally:
        connection.close()


@contextmanager
def _without_security_log() -> Iterator[None]:
    """Do not log refused requests in the block, which are expected and many."""
    level = security_logger.level
    security_logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        security_logger.setLevel(level)
