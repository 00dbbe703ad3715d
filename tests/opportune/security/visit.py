"""Requests to all pages of the site: the admin as superuser, other pages as owner."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from opportune.admin.middleware import ADMIN_PATH
from opportune.testing.access.addresses import example_path, list_addresses
from opportune.testing.access.sites import headers_by_role, sqlite_site
from opportune.testing.asgi_requests import Response, send_request

LOG_TABLES = {"admin_audit_entry", "accounts_event"}
"""Tables in which GET requests may add rows."""


class Visit(NamedTuple):
    responses: dict[str, Response]
    """Responses by path."""
    before: list[str]
    """Rows of the database before the requests, as SQL."""
    after: list[str]


async def visit_all_pages(file: Path) -> Visit:
    app = sqlite_site(file)
    async with app.router.lifespan_context(app):
        headers, before = await headers_by_role(app), dump_rows(file)
        paths = [path for _, method, path in list_addresses(app) if method == "GET"]
        roles = {path: "superuser" if path.startswith(ADMIN_PATH) else "owner" for path in paths}
        responses = {path: await send_request(app, "GET", example_path(path), headers[roles[path]]) for path in paths}
        return Visit(responses, before, dump_rows(file))


def dump_rows(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [line for line in connection.iterdump() if not any(f'"{name}"' in line for name in LOG_TABLES)]
