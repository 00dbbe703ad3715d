"""Content of the records of requests."""

import logging
from collections.abc import Sequence

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text

from opportune.accounts.models import User
from opportune.contrib.request_panel.records import MAX_ENTRIES, MAX_RECORDS, MAX_STATEMENTS, PanelMask, RequestRecord
from opportune.db import ReadSession
from opportune.mail import EmailMessage, enqueue_email
from opportune.project.layout import PROJECT, is_project_code
from opportune.testing.factories import sign_in
from tests.opportune.contrib.request_panel.conftest import Probe

Stored = Sequence[RequestRecord]


async def test_page_is_recorded(client: AsyncClient, records: Stored) -> None:
    response = await client.get("/accounts/login")
    record = records[0]
    assert (record.method, record.path, record.status, record.type_name) == ("GET", "/accounts/login", 200, "HTML")
    assert record.sent_bytes == int(response.headers["content-length"])
    assert response.headers["x-debug-request"] == record.url
    assert f'href="{record.url}"' in response.text
    assert " SQL" in response.text
    assert sum(phase.seconds for phase in record.phases) == pytest.approx(record.seconds, rel=0.02)
    page_names = next(names for name, names in dict(record.templates) if name == "accounts/login.html")
    assert {"form", "request", "user"} <= set(page_names)
    assert "asset" not in page_names
    assert record.template_seconds > 0


async def test_statement_has_line_of_project(probe: Probe) -> None:
    async def select(session: ReadSession) -> None:
        await session.execute(text("SELECT 41 + 1"))

    record = await probe(select)
    statement = next(statement for statement in record.statements if "41 + 1" in statement.sql)
    assert statement.line.startswith("tests/opportune/contrib/request_panel/test_recording.py:")
    assert 'session.execute(text("SELECT 41 + 1"))' in statement.code
    assert statement.seconds > 0


@pytest.mark.parametrize("file", ["oppman.py", "venv/bin/uvicorn", "lib/site-packages/x.py", "opportune/mount.py"])
def test_line_of_a_tool_is_not_of_the_project(file: str) -> None:
    assert [is_project_code(PROJECT / path) for path in ("app/shop/oppman.py", file)] == [True, False]


async def test_equal_queries_are_duplicates(probe: Probe) -> None:
    async def select(session: ReadSession) -> None:
        for number in (1, 1, 2):
            await session.execute(text("SELECT CAST(:number AS INTEGER) AS found"), {"number": number})

    record = await probe(select)
    queries = [statement for statement in record.statements if "found" in statement.sql]
    assert [record.repeats[query.fingerprint] for query in queries] == [2, 2, 1]
    assert (record.similar[queries[0].sql], record.duplicate_count) == (3, 1)
    assert [query.values for query in queries] == [{"number": "1"}, {"number": "1"}, {"number": "2"}]


@pytest.mark.database("sqlite", "postgresql")
async def test_failed_statement_has_its_error(probe: Probe) -> None:
    async def fail(session: ReadSession) -> None:
        await session.execute(text("SELECT nothing FROM nowhere"))

    record = await probe(fail)
    assert record.status >= 500
    statement = next(statement for statement in record.statements if "nowhere" in statement.sql)
    assert statement.error in {"OperationalError", "UndefinedTable"}


async def test_sign_in_shows_no_secret(app: FastAPI, client: AsyncClient, user: User, records: Stored) -> None:
    await sign_in(client, app, user)
    token = next(iter(client.cookies.values()))
    await client.get("/accounts/profile", headers={"Authorization": "Bearer opensesame"})
    page = (await client.get(records[0].url)).text
    assert records[0].user == user.email
    assert records[0].session
    assert token not in page
    assert "opensesame" not in page
    assert records[0].statements[0].values["key"] == "••••••"


MASKED_VALUES: tuple[tuple[str, object, str], ...] = (
    ("password", "opensesame", "••••••"),
    ("param_1", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "'••••••'"),
    ("param_1", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "'••••••'"),
    ("param_1", "b1946ac92492d2347c6235b4d2611184", "'••••••'"),
    ("title", "Buy milk", "'Buy milk'"),
    ("user_id", 123456789, "123456789"),
    ("body", "x" * 100, "<str, length 100>"),
    ("data", b"\x00" * 9, "<bytes, length 9>"),
    ("done", None, "None"),
)


def test_value_is_masked(app: FastAPI) -> None:
    mask: PanelMask = app.state.request_records.mask
    for name, value, expected in MASKED_VALUES:
        assert mask.value(name, value) == expected, name
    assert mask.sql("SELECT 'short', 'b1946ac92492d2347c6235b4'") == "SELECT 'short', '••••••'"


async def test_token_in_path_is_masked(app: FastAPI, client: AsyncClient, records: Stored) -> None:
    @app.get("/open/{token}")
    async def probe(token: str) -> None: ...

    await client.get("/open/opensesame?key=opensesame")
    assert records[0].path == "/open/••••••"
    assert "opensesame" not in repr(records[0])


async def test_log_lines_are_recorded_and_masked(probe: Probe) -> None:
    async def log() -> None:
        logging.getLogger("shop").warning("paid with token=%s", "opensesame")
        for _ in range(MAX_ENTRIES):
            logging.getLogger("shop").warning("again")

    lines = (await probe(log)).log
    assert (lines[0].level, lines[0].logger, lines[0].message) == ("WARNING", "shop", "paid with token=••••••")
    assert len(lines) == MAX_ENTRIES
    assert lines.dropped > 0


async def test_jobs_and_emails_are_recorded(app: FastAPI, client: AsyncClient, probe: Probe) -> None:
    app.state.database.info["jobs"] = app.state.jobs

    async def send_email() -> None:
        async with app.state.database.writer() as session:
            email = EmailMessage("ann@example.com", "Your code is 123456", "secret text", "", "<1@example.com>")
            enqueue_email(session, email)

    record = await probe(send_email)
    assert record.emails == ["ann@example.com: Your code is ••••••"]
    assert "secret text" not in (await client.get(record.url)).text


async def test_statements_are_limited(probe: Probe) -> None:
    async def select(session: ReadSession) -> None:
        for _ in range(MAX_STATEMENTS + 5):
            await session.execute(text(f"SELECT 1 -- {'long' * 1_000}"))

    record = await probe(select)
    assert (len(record.statements), record.duplicate_count) == (MAX_STATEMENTS, 0)
    assert record.statement_count >= MAX_STATEMENTS + 5


async def test_only_last_requests_are_stored(client: AsyncClient, records: Stored) -> None:
    for number in range(MAX_RECORDS + 1):
        await client.get(f"/missing/{number}")
    assert len(records) == MAX_RECORDS
    assert records[-1].path == "/missing/1"


async def test_own_pages_and_files_are_not_recorded(client: AsyncClient, records: Stored) -> None:
    for path in ("/_debug", "/static/site.css", "/health", "/debug/saved"):
        assert (await client.get(path)).status_code == 200, path
    assert not records
