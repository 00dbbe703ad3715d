import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from opportune.testing.access import Headers, addresses, example, session_headers
from opportune.testing.asgi_requests import send_request
from opportune.testing.factories import PASSWORD, make_user
from opportune.testing.sample_rows import ROW_ID, fill

ELSEWHERE = 4711
TAKE_JSON = ("/api/", "/mcp", "/accounts/oauth/register")
"""Prefixes of URLs that accept JSON. Other URLs accept forms."""
PROTECTED: dict[str, Any] = {
    "id": ELSEWHERE,
    "owner_id": ROW_ID,
    "user_id": ROW_ID,
    "is_superuser": True,
    "is_staff": True,
    "is_verified": True,
    "is_active": False,
    "hashed_password": "x",
    "totp_secret": "x",
    "created_at": "1999-01-01T00:00:00Z",
}
"""Fields that requests may not set."""
FIT: dict[str, Any] = {
    "title": "A title",
    "name": "A name",
    "content": "Words",
    "email": "new@example.com",
    "password": PASSWORD,
    "current_password": PASSWORD,
}
"""Valid values of common form fields."""
SESSIONS = "select id, token_hash from accounts_session"


async def test_requests_cannot_set_id_owner_time_or_rights(quiet: FastAPI, file: Path) -> None:
    await fill(quiet.state.database, quiet.state.features)
    sender = await make_user(quiet.state.database)
    before, taken = owned(file), 0
    body = FIT | PROTECTED
    form = "&".join(f"{name}={value}" for name, value in body.items()).encode()
    headers: Headers = {}
    sessions: list[Any] = []
    for _, method, path in addresses(quiet):
        if method in ("POST", "PATCH", "PUT") and not path.startswith("/admin"):
            if not sessions or asked(file, SESSIONS) != sessions:  # some requests sign the user out
                headers = await session_headers(quiet, sender)
                sessions = asked(file, SESSIONS)
            is_json = path.startswith(TAKE_JSON)
            kind = "application/json" if is_json else "application/x-www-form-urlencoded"
            sent = json.dumps(body).encode() if is_json else form
            response = await send_request(quiet, method, example(path), {**headers, "content-type": kind}, sent)
            taken += response.status < 400
    assert taken > 2, "and some of them were stored"
    assert owned(file) == before
    assert (
        asked(file, "select 1 from accounts_user where is_superuser or is_staff or is_verified or not is_active") == []
    )


def owned(file: Path) -> dict[str, list[Any]]:
    """Return rows with a changed owner, place or time, by table."""
    conditions = {"id": f"id = {ELSEWHERE}", "created_at": "created_at < '2000-01-01'", "owner_id": "owner_id = 1"}
    tables = [name for (name,) in asked(file, "select name from sqlite_master where type = 'table'")]
    found = {}
    for table in tables:
        columns = {name for _, name, *_ in asked(file, f"pragma table_info({table})")}
        wrong = [condition for name, condition in conditions.items() if name in columns]
        found[table] = asked(file, f"select count(*) from {table} where {' or '.join(wrong) or 'false'}")  # noqa: S608 - of ours
    return found


def asked(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(statement).fetchall()
