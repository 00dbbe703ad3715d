"""Requests to all pages of the site, by users with full read access."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from opportune.admin.mount import ADMIN_PATH
from opportune.testing.access import addresses, example, headers_by_role, sqlite_site
from opportune.testing.asgi_requests import Response, send_request

NOTES = {"admin_audit_entry", "accounts_event"}
"""Tables that reading may change."""


class Visit(NamedTuple):
    responses: dict[str, Response]
    """Responses by path."""
    before: list[str]
    after: list[str]


async def read_all(file: Path) -> Visit:
    """Read all pages: the admin as superuser, other pages as owner."""
    app = sqlite_site(file)
    async with app.router.lifespan_context(app):
        people, before = await headers_by_role(app), rows(file)
        responses = {
            path: await send_request(
                app, "GET", example(path), people["superuser" if path.startswith(ADMIN_PATH) else "owner"]
            )
            for _, method, path in addresses(app)
            if method == "GET"
        }
        return Visit(responses, before, rows(file))


def rows(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [line for line in connection.iterdump() if not any(f'"{name}"' in line for name in NOTES)]
