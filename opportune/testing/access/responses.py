"""Responses of all URLs of a site to each role."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI

from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.admin.middleware import ADMIN_PATH
from opportune.errors import OperatorError
from opportune.project.access_lines import ROLES, SIGN_IN, AccessLine
from opportune.testing.access.addresses import example_path, list_addresses
from opportune.testing.access.sites import Headers, copy_sqlite_file, headers_by_role
from opportune.testing.access.table import Table
from opportune.testing.asgi_requests import Response, send_request
from opportune.web.middleware.security_log import logger as security_logger

REFUSALS = (SIGN_IN, "401", "403", "404", "405")
"""Responses to requests that change no rows."""
JSON_ERRORS = {"accept": "application/json"}
"""Header that requests JSON errors, which take less time than pages."""
REFUSED_BY_ADMIN = {"anonymous": SIGN_IN, "user": "403", "owner": "403", "staff": "403"}
"""Results of the roles without permissions in the admin. The tables list only pages with other results."""

RoleRequest = tuple[str, str, str]
"""Method, path, and role of the client."""


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
    table: Table = {}
    with closing(_Backup(file)) as backup, _without_security_log():
        clients = _RoleClients(app, headers, backup)
        for source, method, path in list_addresses(app):
            if not is_included(source):
                continue
            results: dict[str, str] = {}
            for role in ROLES:
                known_result = known_result_of((method, path, role))
                results[role] = await clients.request(method, path, role) if known_result is None else known_result
            is_refused = REFUSED_BY_ADMIN.items() <= results.items()
            if not (is_refused and path.startswith(ADMIN_PATH)):
                table[method, path] = AccessLine(source, method, path, tuple(results.values()))
    return table


class _RoleClients(NamedTuple):
    """Clients of a site, one for each role. After a change, the site has its sample rows again."""

    app: FastAPI
    headers: Mapping[str, Headers]
    backup: "_Backup"

    async def request(self, method: str, path: str, role: str) -> str:
        """Return the result of a request.

        Raises:
            OperatorError: The route fails.
        """
        headers = self.headers[role]
        if path.startswith(ADMIN_PATH) and role in REFUSED_BY_ADMIN and role != "anonymous":
            headers = {**headers, **JSON_ERRORS}
        result = status_word(await send_request(self.app, method, example_path(path), headers))
        if result == "500":
            advice = "Correct the error above, or give its row other values in data=Data(sample_rows={…})."
            raise OperatorError(f"{method} {path} fails for {role}. {advice}")
        if method != "GET" and result not in REFUSALS:
            self.backup.restore()
        return result


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
