"""Log lines: format, escaping, levels, requests, jobs and traces."""

import asyncio
import json
import logging
import logging.config
from typing import Literal

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.settings import Settings, load_settings
from opportune.db.database import Database
from opportune.jobs import management
from opportune.mail.delivery import send_email_job
from opportune.server.log_formats import LineFormatter
from opportune.server.logging import logging_config
from opportune.services.observers import JobAttempt, observed_job
from opportune.services.trace_context import trace_id, traceparent
from opportune.testing.app import create_test_app
from opportune.testing.plugin import settings_for
from opportune.web.middleware.request_log import request_id

CONTROL_CHARACTERS = (
    "\x00\x07\x08\n\x0b\x0c\r\x1b\x7f\x85\x9b\u061c\u200b\u200e\u2028\u2029\u202e\u2066\ufeff\U000e0041\ud800"
)
"""Characters that control terminals, end lines in editors, or are invisible."""


def write_log(
    capsys: pytest.CaptureFixture[str],
    log_format: Literal["text", "json"],
    message: str,
    name: str = "app.test",
    request_number: str = "request-1",
    error: BaseException | None = None,
    settings: Settings | None = None,
) -> str:
    """Log one message and return the output on stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    settings = (settings or settings_for("sqlite:///x.db")).model_copy(update={"log_format": log_format})
    try:
        logging.config.dictConfig(logging_config(settings))
        token = request_id.set(request_number)
        logging.getLogger(name).warning("%s", message, extra={"status": 200}, exc_info=error)
        request_id.reset(token)
    finally:
        root.handlers[:], root.level = handlers, level
    return capsys.readouterr().err


def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    line = write_log(
        capsys, "text", f"message{CONTROL_CHARACTERS}\ttab", f"app{CONTROL_CHARACTERS}", f"request{CONTROL_CHARACTERS}"
    )
    escaped = CONTROL_CHARACTERS.encode("unicode_escape").decode()
    assert line.endswith(f"WARNING message{escaped}\ttab  [app{escaped} request{escaped}]\n")
    assert line.splitlines() == [line.removesuffix("\n")]


@pytest.mark.parametrize("name", ["httpx2", "mcp.client.streamable_http"])
def test_requested_urls_are_not_logged(capsys: pytest.CaptureFixture[str], name: str) -> None:
    write_log(capsys, "text", "as the site logs")  # configures the loggers
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def make_exception_with_user_input() -> BaseException:
    """Return a raised exception group with forged log lines in all its texts."""
    forged = f"typed{CONTROL_CHARACTERS}\n2026-11-20 10:00:00,000 INFO    forged"
    error = ValueError(forged)
    error.add_note(forged)
    group = ExceptionGroup(forged, [error])
    group.__cause__ = KeyError(forged)
    with pytest.raises(ExceptionGroup) as caught:
        raise group
    return caught.value


def test_traceback_is_indented_and_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = write_log(capsys, "text", "failed", error=make_exception_with_user_input())
    first_line, *traceback_lines = text.removesuffix("\n").split("\n")
    assert "WARNING failed  [app.test request-1]" in first_line
    assert any(f'File "{__file__}"' in line for line in traceback_lines)
    assert sum("forged" in line for line in traceback_lines) >= 4
    assert [line for line in traceback_lines if not line.startswith("  ") or not line.isprintable()] == []


def test_traceback_cached_by_another_handler_is_escaped() -> None:
    error = make_exception_with_user_input()
    record = logging.LogRecord("app", logging.ERROR, "", 0, "failed", None, (type(error), error, error.__traceback__))
    logging.Formatter().format(record)
    assert "\x1b" not in LineFormatter().format(record)


def test_json_line_escapes_characters_and_has_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    error = make_exception_with_user_input()
    line = write_log(capsys, "json", CONTROL_CHARACTERS, f"app{CONTROL_CHARACTERS}", CONTROL_CHARACTERS, error)
    assert line.removesuffix("\n").isprintable()
    assert json.loads(line)["message"] == CONTROL_CHARACTERS
    entry = json.loads(write_log(capsys, "json", "a\nb"))
    fields = {"message": "a\nb", "level": "WARNING", "logger": "app.test", "request_id": "request-1", "status": 200}
    assert entry.items() >= fields.items()
    assert "job_id" not in entry


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_lines_of_a_job_have_its_id_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    async def run(log_format: Literal["text", "json"]) -> str:
        with observed_job(JobAttempt(12, "books.nightly", 1, TRACE)):
            return write_log(capsys, log_format, "hello", request_number="")

    entry = json.loads(await asyncio.create_task(run("json")))  # jobs run in a separate task
    assert (entry["job_id"], entry["trace_id"]) == (12, TRACE[3:35])
    assert f"[app.test job 12 {TRACE[3:35]}]" in await asyncio.create_task(run("text"))


@pytest.mark.parametrize(
    ("proxies", "header", "expected"),
    [("10.0.0.1", TRACE, TRACE[3:35]), ("10.0.0.1", TRACE.replace("0af7", "0AF7"), ""), ("", TRACE, "")],
)
async def test_trace_of_trusted_proxy_continues(settings: Settings, proxies: str, header: str, expected: str) -> None:
    app = create_test_app(settings.model_copy(update={"trusted_proxies": proxies}))
    trace_ids: list[str] = []

    @app.get("/traced")
    async def traced() -> None:
        trace_ids.append(trace_id())

    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        await client.get("/traced", headers={"traceparent": header})
    assert trace_ids == [expected]


async def test_job_belongs_to_the_trace_that_queued_it(app: FastAPI) -> None:
    token = traceparent.set(TRACE)
    job_id = await app.state.jobs.enqueue(send_email_job({}), delay=3600)
    traceparent.reset(token)
    async with app.state.database.reader() as session:
        assert (await management.find_job(session, int(job_id))).traceparent == TRACE


@pytest.mark.parametrize(("level", "is_logged"), [("WARNING", True), ("error", False)])
def test_log_level_is_a_setting(level: str, is_logged: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert bool(write_log(capsys, "text", "hello", settings=load_settings(log_level=level))) is is_logged


async def test_statements_are_logged_without_parameters(
    database: Database, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(capsys, "text", "as the site logs", settings=database.settings.model_copy(update={"database_echo": True}))
    async with database.reader() as session:
        await session.execute(select(User).where(col(User.email) == "private@example.com"))
    logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
    assert "FROM accounts_user" in caplog.text
    assert "private@example.com" not in caplog.text
