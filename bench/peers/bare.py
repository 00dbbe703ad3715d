"""The same responses without a framework: one ASGI function under uvicorn, SQL strings, and pages built from strings.

It has no limits, security headers or log. SQLite runs inside the event loop, where a waiting writer would block all
requests. PostgreSQL uses five psycopg connections that are never checked. As a program, it creates tables and rows,
and prints the cookie of a signed-in user.
"""

import asyncio
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from bench.harness.tasks import EMAIL, ITEMS

URL = os.environ["BENCH_DATABASE_URL"]
CLIENT_CONNECTIONS = 5
HEAD, TAIL = Path(__file__).with_name("bare.html").read_text().split("{content}")
ANONYMOUS_LINKS = (
    '<a class="nav-link px-2" href="/login">Sign in</a>'
    '<a class="btn btn-primary d-none d-sm-inline-flex" href="/register">Register</a>'
)

LIST = "SELECT id, title, note, done, created_at FROM items ORDER BY id LIMIT 20"
COUNT = "SELECT count(*) FROM items"
INSERT = (
    "INSERT INTO items (title, note, done, created_at) VALUES (%s, %s, %s, %s)"
    " RETURNING id, title, note, done, created_at"
)
FIND_SESSION_OWNER = (
    "SELECT users.email, users.created_at FROM sessions JOIN users ON users.id = sessions.user_id"
    " WHERE sessions.token_hash = %s AND sessions.expires_at > %s"
)

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Row = tuple[Any, ...]
TOKEN = "a token that only this file knows"
SCHEMA = """
CREATE TABLE items
    (id {key}, title text NOT NULL, note text NOT NULL, done boolean NOT NULL, created_at {time} NOT NULL);
CREATE TABLE users (id {key}, email text NOT NULL, created_at {time} NOT NULL);
CREATE TABLE sessions (token_hash text PRIMARY KEY, user_id bigint NOT NULL, expires_at {time} NOT NULL)
"""


class Response(NamedTuple):
    status: int
    content_type: bytes
    body: bytes


class SQLite:
    """One connection. Statements are written for PostgreSQL, so their placeholders are replaced."""

    async def open(self) -> None:
        self.connection = sqlite3.connect(URL.removeprefix("sqlite:///"), isolation_level=None)

    async def fetch(self, statement: str, values: tuple[object, ...] = ()) -> list[Row]:
        texts = [value.isoformat() if isinstance(value, datetime) else value for value in values]
        return self.connection.execute(statement.replace("%s", "?"), texts).fetchall()


class PostgreSQL:
    """A pool of connections."""

    async def open(self) -> None:
        self.free: asyncio.LifoQueue[psycopg.AsyncConnection] = asyncio.LifoQueue()
        for _ in range(CLIENT_CONNECTIONS):
            self.free.put_nowait(await psycopg.AsyncConnection.connect(URL, autocommit=True))

    async def fetch(self, statement: str, values: tuple[object, ...] = ()) -> list[Row]:
        connection = await self.free.get()
        try:
            return await (await connection.execute(statement.encode(), values or None)).fetchall()
        finally:
            self.free.put_nowait(connection)


database = SQLite() if URL.startswith("sqlite:") else PostgreSQL()


async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await start(receive, send)
        return
    respond = ROUTES.get((scope["method"], scope["path"]), not_found)
    response = await respond(scope, receive)
    headers = [(b"content-type", response.content_type), (b"content-length", b"%d" % len(response.body))]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def start(receive: Receive, send: Send) -> None:
    await receive()
    await database.open()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def as_json(value: object, status: int = 200) -> Response:
    return Response(status, b"application/json", json.dumps(value, separators=(",", ":")).encode())


def as_page(content: str, account: str) -> Response:
    page = f"{HEAD.replace('{account}', account)}{content}{TAIL}"
    return Response(200, b"text/html; charset=utf-8", page.encode())


def item_as_dict(row: Row) -> dict[str, object]:
    number, title, note, done, created_at = row
    return {
        "id": number,
        "title": title,
        "note": note,
        "done": bool(done),
        "created_at": parse_time(created_at).isoformat(),
    }


def parse_time(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


async def not_found(_scope: Mapping[str, Any], _receive: Receive) -> Response:
    return as_json({"detail": "Not Found"}, 404)


async def ping(_scope: Mapping[str, Any], _receive: Receive) -> Response:
    return as_json({"ping": "pong"})


async def items(_scope: Mapping[str, Any], _receive: Receive) -> Response:
    return as_json([item_as_dict(row) for row in await database.fetch(LIST)])


async def items_with_total(_scope: Mapping[str, Any], _receive: Receive) -> Response:
    return as_json({"items": [item_as_dict(row) for row in await database.fetch(LIST)], "total": await count_items()})


async def count_items() -> int:
    total: int = (await database.fetch(COUNT))[0][0]
    return total


async def add_item(_scope: Mapping[str, Any], receive: Receive) -> Response:
    data = json.loads(await read_body(receive))
    rows = await database.fetch(INSERT, (data["title"], data["note"], False, datetime.now(UTC)))
    return as_json(item_as_dict(rows[0]), 201)


async def read_body(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def items_page(_scope: Mapping[str, Any], _receive: Receive) -> Response:
    return as_page(table(await database.fetch(LIST)), ANONYMOUS_LINKS)


async def items_page_with_total(_scope: Mapping[str, Any], _receive: Receive) -> Response:
    return as_page(f"{table(await database.fetch(LIST))}<p>{await count_items()}</p>", ANONYMOUS_LINKS)


def table(rows: Iterable[Row]) -> str:
    head = "<tr><th>Number</th><th>Title</th><th>Note</th><th>State</th><th>Made</th></tr>"
    body = "".join(map(table_row, rows))
    return (
        f'<h1>Items</h1><div class="card"><table class="table table-vcenter card-table"><thead>{head}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def table_row(row: Row) -> str:
    number, title, note, done, created_at = row
    created = parse_time(created_at)
    state = '<span class="badge bg-green">done</span>' if done else '<span class="badge">open</span>'
    return (
        f'<tr id="item-{number}"><td>{number}</td><td><a href="/items/{number}">{escape(title)}</a></td>'
        f'<td class="text-secondary">{escape(note)}</td><td>{state}</td>'
        f'<td><time datetime="{created.isoformat()}">{created:%d %b %Y}</time></td></tr>'
    )


async def signed_in_page(scope: Mapping[str, Any], _receive: Receive) -> Response:
    cookie_headers = [value.decode() for name, value in scope["headers"] if name == b"cookie"]
    cookies = SimpleCookie(cookie_headers[0] if cookie_headers else "")
    token = cookies["session"].value if "session" in cookies else ""
    owners = await database.fetch(FIND_SESSION_OWNER, (sha256(token.encode()).hexdigest(), datetime.now(UTC)))
    if not owners:
        return as_json({"detail": "Not signed in"}, 401)
    email, created_at = owners[0]
    account = escape(email)
    text = f"You are signed in as {account} since {parse_time(created_at):%d %b %Y}."
    return as_page(f"<h1>Yours</h1><p>{text}</p>", account)


ROUTES: dict[tuple[str, str], Callable[[Mapping[str, Any], Receive], Awaitable[Response]]] = {
    ("GET", "/api/v1/ping"): ping,
    ("GET", "/api/v1/items"): items,
    ("POST", "/api/v1/items"): add_item,
    ("GET", "/api/v1/rows"): items_with_total,
    ("POST", "/api/v1/rows"): add_item,
    ("GET", "/items"): items_page,
    ("GET", "/rows"): items_page_with_total,
    ("GET", "/items/mine"): signed_in_page,
}


def make_tables() -> None:
    if URL.startswith("sqlite:"):
        schema = SCHEMA.format(key="integer PRIMARY KEY", time="text")
        with sqlite3.connect(URL.removeprefix("sqlite:///")) as connection:
            connection.executescript(f"PRAGMA journal_mode = WAL; {schema}")
        return
    schema = SCHEMA.format(key="bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", time="timestamptz")
    with psycopg.connect(URL) as server:
        server.execute(schema.encode())


async def add_rows() -> None:
    now = datetime.now(UTC)
    await database.open()
    for item in ITEMS:
        await database.fetch(INSERT, (item["title"], item["note"], item["done"], now))
    await database.fetch("INSERT INTO users VALUES (1, %s, %s) RETURNING id", (EMAIL, now))
    session = sha256(TOKEN.encode()).hexdigest(), 1, now + timedelta(days=14)
    await database.fetch("INSERT INTO sessions VALUES (%s, %s, %s) RETURNING user_id", session)


if __name__ == "__main__":
    make_tables()
    asyncio.run(add_rows())
    print(f'session="{TOKEN}"')
