"""Mass assignment: requests with protected fields such as `id` and `is_superuser` do not set them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from opportune.testing.access.addresses import example_path, list_addresses
from opportune.testing.access.sites import Headers, session_headers
from opportune.testing.asgi_requests import send_request
from opportune.testing.factories import PASSWORD, make_user
from opportune.testing.sample_rows import ROW_ID, insert_sample_rows

FORGED_ID = 4711
JSON_PREFIXES = ("/api/", "/mcp", "/accounts/oauth/register")
"""Prefixes of URLs that accept JSON. Other URLs accept forms."""
PROTECTED_FIELDS: dict[str, Any] = (
    {"id": FORGED_ID, "owner_id": ROW_ID, "user_id": ROW_ID, "created_at": "1999-01-01T00:00:00Z"}
    | {"is_superuser": True, "is_staff": True, "is_verified": True, "is_active": False}
    | {"hashed_password": "x", "totp_secret": "x"}
)
"""Fields that requests may not set."""
VALID_FIELDS: dict[str, Any] = {
    "title": "A title",
    "name": "A name",
    "content": "Words",
    "email": "new@example.com",
} | {"password": PASSWORD, "current_password": PASSWORD}
"""Valid values of common form fields."""
SESSIONS = "select id, token_hash from accounts_session"


async def test_requests_cannot_set_id_owner_time_or_rights(site_without_jobs: FastAPI, database_file: Path) -> None:
    await insert_sample_rows(site_without_jobs.state.database, site_without_jobs.state.features)
    sender = await make_user(site_without_jobs.state.database)
    counts_before, accepted_count = count_forged_rows(database_file), 0
    body = VALID_FIELDS | PROTECTED_FIELDS
    form = "&".join(f"{name}={value}" for name, value in body.items()).encode()
    headers: Headers = {}
    sessions: list[Any] = []
    for _, method, path in list_addresses(site_without_jobs):
        if method in ("POST", "PATCH", "PUT") and not path.startswith("/admin"):
            if not sessions or run_query(database_file, SESSIONS) != sessions:  # some requests sign the user out
                headers = await session_headers(site_without_jobs, sender)
                sessions = run_query(database_file, SESSIONS)
            is_json = path.startswith(JSON_PREFIXES)
            content_type = "application/json" if is_json else "application/x-www-form-urlencoded"
            content = json.dumps(body).encode() if is_json else form
            json_headers = {**headers, "content-type": content_type}
            response = await send_request(site_without_jobs, method, example_path(path), json_headers, content)
            accepted_count += response.status < 400
    assert accepted_count > 2, "too few requests are valid"
    assert count_forged_rows(database_file) == counts_before
    changed_users = "select 1 from accounts_user where is_superuser or is_staff or is_verified or not is_active"
    assert run_query(database_file, changed_users) == []


def count_forged_rows(database_file: Path) -> dict[str, list[Any]]:
    """Return the number of rows with a forged id, creation time or owner, by table."""
    conditions = {"id": f"id = {FORGED_ID}", "created_at": "created_at < '2000-01-01'", "owner_id": "owner_id = 1"}
    tables = [name for (name,) in run_query(database_file, "select name from sqlite_master where type = 'table'")]
    counts = {}
    for table in tables:
        columns = {name for _, name, *_ in run_query(database_file, f"pragma table_info({table})")}
        forged = [condition for name, condition in conditions.items() if name in columns]
        counts[table] = run_query(database_file, f"select count(*) from {table} where {' or '.join(forged) or 'false'}")  # noqa: S608 - our constants
    return counts


def run_query(database_file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(database_file)) as connection:
        return connection.execute(statement).fetchall()
