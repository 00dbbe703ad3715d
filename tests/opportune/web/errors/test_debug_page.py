"""Content of the debug page, and masked secrets."""

import re
from collections.abc import AsyncIterator
from reprlib import Repr

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.testing.plugin import settings_for
from opportune.testing.quiet_app import quiet_app
from opportune.web.errors import debug_page
from opportune.web.errors.debug_page import MAX_VARIABLES, report_of

pytestmark = pytest.mark.database("sqlite")

HTML = {"Accept": "text/html"}


def fail(password: str, books: list[str], form: dict[str, str]) -> None:
    raise ValueError(f"no shelf for {len(books)} books")


@pytest.fixture
async def faulty(settings: Settings) -> AsyncIterator[AsyncClient]:
    app = quiet_app(settings.model_copy(update={"debug": True, "environment": "development", "jobs": "off"}))

    @app.get("/shelf/{shelf}")
    async def shelve(request: Request, shelf: str) -> None:
        fail("opensesame", ["Emma", shelf], {"title": "Emma", "password": "opensesame"})

    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


async def test_project_line_comes_first_with_variables(faulty: AsyncClient) -> None:
    page = (await faulty.get("/shelf/upper", headers=HTML)).text
    line, rest = page.split("Traceback, with the framework")
    assert "ValueError" in line
    assert "no shelf for 2 books" in line
    assert "tests/opportune/web/errors/test_debug_page.py:" in line
    assert "<code>fail</code>" in line
    assert "[&#39;Emma&#39;, &#39;upper&#39;]" in line
    assert "starlette" not in line
    assert "starlette" in rest
    assert "<details" in line


async def test_request_is_shown_without_secrets(faulty: AsyncClient) -> None:
    headers = {**HTML, "Cookie": "session=opensesame", "Authorization": "Bearer opensesame", "X-Odd": "seen"}
    page = (await faulty.get("/shelf/upper?page=2&token=opensesame", headers=headers)).text
    assert "GET http://127.0.0.1/shelf/upper?page=2" in page
    assert "seen" in page
    assert "opensesame" not in page.split("Traceback, with the framework")[0]


async def test_details_are_hidden_without_debug(faulty: AsyncClient, client: AsyncClient, app: FastAPI) -> None:
    problem = (await faulty.get("/shelf/upper", headers={"Accept": "application/json"})).text
    assert "Emma" not in problem
    assert (await client.get(debug_page.SAVED)).status_code == 404


async def test_saved_file_changes_code_version(faulty: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (await faulty.get("/shelf/upper", headers=HTML)).text
    before = (await faulty.get(debug_page.SAVED)).json()["saved"]
    assert f'data-saved="{before}"' in page
    monkeypatch.setattr(debug_page, "PROCESS_ID", "another")
    assert (await faulty.get(debug_page.SAVED)).json()["saved"] != before


def caught(row: object, url: str, text: str) -> ValueError:
    with pytest.raises(ValueError, match=re.escape(text)) as error:
        show(row, url, text)
    return error.value


def show(row: object, url: str, text: str) -> None:
    raise ValueError(text)


class Broken:
    def __repr__(self) -> str:
        raise ValueError("a row whose session is closed")


def test_secrets_are_masked_and_reprs_may_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_for("sqlite://").model_copy(update={"llm_api_key": SecretStr("sk-abcdef")})
    error = caught(row=Broken(), url="postgresql://ada:hunter2@host/x", text="User(hashed_password='$argon2$x')")
    report = report_of(error, settings)
    assert report.variables["row"].startswith("<Broken instance at ")
    assert "hunter2" not in str(report)
    assert "$argon2" not in report.variables["text"] + report.message
    assert "sk-abcdef" not in str(report_of(caught(row=1, url="", text="sent sk-abcdef"), settings))

    # Python versions differ in the errors that reprlib catches.
    monkeypatch.setattr(Repr, "repr", lambda _self, value: repr(value))
    assert report_of(error, settings).variables["row"] == "<Broken: its repr raises ValueError>"


def test_large_frames_are_shortened() -> None:
    def crowded() -> None:
        for number in range(1):
            exec("raise ValueError(number)", {"number": number})  # noqa: S102 - a frame of no file at all

    with pytest.raises(ValueError, match="0") as error:
        crowded()
    report = report_of(error.value, settings_for("sqlite://"))
    assert report.function == "crowded"
    assert len(report.variables) <= MAX_VARIABLES
