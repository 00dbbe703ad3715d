"""Requests to Opportune and the frameworks it is compared with: the same URLs and rows for all."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bench.harness.load import Request

EMAIL = "visitor@example.com"
PASSWORD = "a password that only the benchmarks use"
ITEMS: list[dict[str, Any]] = [
    {"title": f"Item {number}", "note": f"Notes on <{number}> & next steps", "done": number % 3 == 0}
    for number in range(1, 21)
]
"""Rows of a new table. Lists show these twenty, even after other rows are inserted."""
ADDITIONAL_ROWS_VARIABLE = "BENCH_MORE_ITEMS"
"""Environment variable with the number of additional rows."""
BATCH_ROWS = 5_000


def additional_row_count() -> int:
    """Return the number of additional rows. Benchmarks with additional rows measure the admin, as a superuser."""
    return int(os.environ.get(ADDITIONAL_ROWS_VARIABLE, "0"))


def additional_items(newest_at: datetime) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of rows. Each row is a second older than the next."""
    count = additional_row_count()
    for start in range(0, count, BATCH_ROWS):
        yield [
            {
                "title": f"Entry {number}",
                "note": f"Note {number % 97}",
                "done": number % 3 == 0,
                "created_at": newest_at - timedelta(seconds=count - number),
            }
            for number in range(start, min(start + BATCH_ROWS, count))
        ]


BROWSER = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@dataclass(frozen=True)
class Task:
    title: str
    request_names: tuple[str, ...]
    """Names of requests, sent round-robin."""
    connections: int = 4
    """Concurrent connections. The smallest pool has more, so no database connection is opened during the run."""
    is_page: bool = False


TASKS = {
    "ping": Task("JSON ping", ("ping",)),
    "page": Task("HTML list of 20 rows", ("page",), is_page=True),
    "list": Task("JSON list of 20 rows", ("list",)),
    "insert": Task("committed insert", ("insert",)),
    "crud_list": Task("JSON list, CRUD layer", ("crud_list",)),
    "crud_page": Task("HTML list, CRUD layer", ("crud_page",), is_page=True),
    "crud_insert": Task("committed insert, CRUD layer", ("crud_insert",)),
    "mixed": Task("insert and read, 32 connections", ("insert", "list"), connections=32),
    "signed_in_page": Task("signed-in page", ("signed_in_page",), is_page=True),
}


def user_emails() -> list[str]:
    """E-mails of the users who sign in concurrently."""
    return [f"person{number}@example.com" for number in range(20)]


def make_requests(cookie: str) -> dict[str, Request]:
    """Return requests by name, with the cookie of a signed-in user."""
    new = json.dumps({"title": "Buy milk", "note": "Two bottles, and bread if there is any"})
    return {
        "ping": Request(encode_request("GET", "/api/v1/ping", "application/json"), 200, b'"pong"'),
        "page": Request(encode_request("GET", "/items", "text/html"), 200, b"Item 20</a>"),
        "list": Request(encode_request("GET", "/api/v1/items", "application/json"), 200, b'"Item 20"'),
        "insert": Request(encode_request("POST", "/api/v1/items", "application/json", body=new), 201, b'"Buy milk"'),
        "insert_with_job": Request(
            encode_request("POST", "/api/v1/items/job", "application/json", body=new), 201, b'"Buy milk"'
        ),
        "answer": Request(encode_request("GET", "/api/v1/answer", "text/event-stream"), 200, b"event: done"),
        # The shortest code in each framework. Opportune's uses its CRUD layer. All of them also count the rows.
        "crud_list": Request(encode_request("GET", "/api/v1/rows", "application/json"), 200, b'"Item 20"'),
        "crud_page": Request(encode_request("GET", "/rows", "text/html"), 200, b"Item 20</"),
        "crud_insert": Request(
            encode_request("POST", "/api/v1/rows", "application/json", body=new), 201, b'"Buy milk"'
        ),
        "signed_in_page": Request(
            encode_request("GET", "/items/mine", "text/html", cookie=cookie), 200, EMAIL.encode()
        ),
    }


def page_request(path: str, cookie: str, marker: str) -> Request:
    return Request(encode_request("GET", path, "text/html", cookie=cookie), 200, marker.encode())


def encode_request(method: str, path: str, accept: str, cookie: str = "", body: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", BROWSER, f"Accept: {accept}", "Accept-Language: en"]
    if cookie:
        lines.append(f"Cookie: {cookie}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body]).encode()
