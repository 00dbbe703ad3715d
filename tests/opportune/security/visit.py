"""A visit to every address of the site by whoever may read all of it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from opportune.admin.mount import ADMIN_PATH
from opportune.testing.access import addresses, everyone, example, site_on
from opportune.testing.asgi_requests import Response, send_request

NOTES = {"admin_audit_entry", "accounts_event"}
"""Who looked at what may be written down."""


class Visit(NamedTuple):
    answers: dict[str, Response]
    """By the path of their address."""
    before: list[str]
    after: list[str]


async def read_all(file: Path) -> Visit:
    """All that can be read, by an owner outside the admin and by a superuser in it; the file has no rows yet."""
    app = site_on(file)
    async with app.router.lifespan_context(app):
        people, before = await everyone(app), rows(file)
        answers = {
            path: await send_request(
                app, "GET", example(path), people["superuser" if path.startswith(ADMIN_PATH) else "owner"]
            )
            for _, method, path in addresses(app)
            if method == "GET"
        }
        return Visit(answers, before, rows(file))


def rows(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [line for line in connection.iterdump() if not any(f'"{name}"' in line for name in NOTES)]
