import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from fastapi import APIRouter, Request
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from opportune import __version__
from opportune.cli import main
from opportune.config.settings import Settings, using_settings
from opportune.contrib.telemetry.sentry import errors_reported, remove_private_data, start_sentry
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.errors import OperatorError, SettingsError
from opportune.feature import Feature, Jobs
from opportune.jobs import JobContext, job
from opportune.jobs.models import JobState
from opportune.project.installed import installed_features
from opportune.testing.app import create_test_app
from tests.opportune.contrib.telemetry.sink import Sink

KEY = "0123456789abcdef0123456789abcdef"


@job("sentry.broken", attempts=1)
async def broken(_run: JobContext, user: str) -> None:
    raise ValueError(f"there is no user {user}")


def routes() -> APIRouter:
    router = APIRouter()

    @router.post("/broken/{name}")
    async def break_it(name: str, request: Request) -> None:
        private_local = await request.body()
        raise KeyError(f"{name}@example.com", len(private_local))

    return router


@pytest.fixture(autouse=True)
def _reset_client() -> Iterator[None]:
    yield
    sentry_sdk.get_global_scope().set_client(None)


@pytest.fixture
def sentry_settings(settings: Settings, sink: Sink) -> Settings:
    return settings.having(TelemetrySettings(sentry_dsn=SecretStr(f"http://{KEY}@{sink.address}/1")))


def events(sink: Sink) -> list[dict[str, Any]]:
    lines = [json.loads(line) for _, body in sink.bodies for line in body.splitlines()]
    return [line for line in lines if "exception" in line]


async def test_reports_contain_nothing_private(sentry_settings: Settings, sink: Sink) -> None:
    feature = Feature("sentry", "Errors.", pages=routes(), jobs=Jobs([broken]))
    app = create_test_app(sentry_settings, (*installed_features(), feature), runs_jobs=True)
    async with app.router.lifespan_context(app):
        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
            path = "/broken/private-user?code=private-code"
            headers = {"cookie": "session=private-cookie", "authorization": "Bearer private-token"}
            response = await client.post(path, content=b"private-body", headers=headers)
        assert response.status_code == 500
        number = await app.state.jobs.enqueue(broken("private@example.com"))
        assert await app.state.jobs.wait_until_ended(number) is JobState.FAILED
    crash, failure = events(sink)
    assert crash["exception"]["values"][-1]["type"] == "KeyError"
    assert (crash["tags"]["route"], crash["tags"]["method"]) == ("/broken/{name}", "POST")
    assert crash["tags"]["request_id"] == response.headers["x-request-id"]
    assert (crash["release"], crash["environment"]) == (f"opportune@{__version__}", "test")
    assert crash["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"] == "break_it"
    assert failure["tags"]["job_id"] == number
    assert failure["exception"]["values"][-1]["value"] == "there is no user […]"
    for private in (b"private-user", b"private-code", b"private-body", b"private-cookie", b"private-token"):
        assert private not in sink.text, private
    for private in (b"private@example", b"testserver", b'"vars"', b'"user"', b'"modules"', b"argv", b"SECRET"):
        assert private not in sink.text, private


async def test_failed_start_is_reported_except_operator_errors(sentry_settings: Settings, sink: Sink) -> None:
    for error in (ZeroDivisionError("at the start"), OperatorError("DATABASE_URL is wrong.")):
        with pytest.raises(type(error)):
            async with errors_reported(sentry_settings):
                raise error
    assert [event["exception"]["values"][0]["type"] for event in events(sink)] == ["ZeroDivisionError"]


def test_failed_command_is_reported(sentry_settings: Settings, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRY_DSN", sentry_settings.of(TelemetrySettings).sentry_dsn.get_secret_value())
    monkeypatch.setattr(main, "command_group", lambda: dict[str, str]()["in a command"])
    with using_settings(sentry_settings):
        assert main.main(["check"]) == 1
    assert [event["exception"]["values"][0]["value"] for event in events(sink)] == ["'in a command'"]


@pytest.mark.parametrize(("dsn", "line"), [("nonsense", "copy it from Sentry"), ("", "Install it: ")])
def test_refused_setup_hides_the_key(settings: Settings, monkeypatch: pytest.MonkeyPatch, dsn: str, line: str) -> None:
    if not dsn:
        monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    options = settings.having(TelemetrySettings(sentry_dsn=SecretStr(dsn or f"http://{KEY}@127.0.0.1:1/1")))
    with pytest.raises(SettingsError, match=line) as caught:
        start_sentry(options)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(psycopg.errors.UniqueViolation) duplicate key\nDETAIL: Key (email)=(a@b.org)", "duplicate key"),
        ("no route to postgresql://user:secret@host/db", "no route to […]"),
        ("call +43 660 123 45 67 now", "[…] now"),
        ("token ghp_0123456789abcdefghij is wrong", "token […] is wrong"),
        ("list index out of range", "list index out of range"),
    ],
)
def test_private_parts_of_a_message_are_removed(text: str, expected: str) -> None:
    assert remove_private_data(text).endswith(expected)


def test_long_line_is_cut_before_it_is_searched() -> None:
    assert remove_private_data("a." * 1_000_000) == ""  # searching all of it would take hours
    assert remove_private_data("no room for " + "who is it, " * 90 + f"{KEY}@example.com").startswith("no room for who")
