"""Content of the debug page, and masked secrets."""

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import Request
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.testing.app import create_test_app
from opportune.testing.plugin import settings_for
from opportune.web.errors import debug_page
from opportune.web.errors.debug_page import build_report

HTML = {"Accept": "text/html"}


def fail(password: str, books: list[str], form: dict[str, str]) -> None:
    raise ValueError(f"no shelf for {len(books)} books")


@pytest.fixture
async def faulty(settings: Settings) -> AsyncIterator[AsyncClient]:
    app = create_test_app(settings.model_copy(update={"debug": True, "environment": "development", "jobs": "off"}))

    @app.get("/shelf/{shelf}")
    async def shelve(request: Request, shelf: str) -> None:
        fail("opensesame", ["Emma", shelf], {"title": "Emma", "password": "opensesame"})

    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


async def test_project_line_comes_first_with_variables(faulty: AsyncClient) -> None:
    page = (await faulty.get("/shelf/upper", headers=HTML)).text
    summary, traceback = page.split("Traceback, with the framework")
    assert "ValueError" in summary
    assert "no shelf for 2 books" in summary
    assert "tests/opportune/web/errors/test_debug_page.py:" in summary
    assert "<code>fail</code>" in summary
    assert "[&#39;Emma&#39;, &#39;upper&#39;]" in summary
    assert "starlette" not in summary
    assert "starlette" in traceback
    assert "<details" in summary


async def test_request_is_shown_without_secrets(faulty: AsyncClient) -> None:
    headers = {**HTML, "Cookie": "session=opensesame", "Authorization": "Bearer opensesame", "X-Odd": "seen"}
    page = (await faulty.get("/shelf/upper?page=2&token=opensesame", headers=headers)).text
    assert "GET http://127.0.0.1/shelf/upper?page=2" in page
    assert "seen" in page
    assert "opensesame" not in page.split("Traceback, with the framework")[0]


async def test_details_are_hidden_without_debug(faulty: AsyncClient, client: AsyncClient) -> None:
    assert "Emma" not in (await faulty.get("/shelf/upper", headers={"Accept": "application/json"})).text
    assert (await client.get(debug_page.CODE_VERSION_PATH)).status_code == 404


def raise_and_catch(row: object = 1, url: str = "", text: str = "odd") -> ValueError:
    """Return an error whose frame has these variables."""
    with pytest.raises(ValueError, match=re.escape(text)) as error:
        raise_error(row, url, text)
    return error.value


def raise_error(row: object, url: str, text: str) -> None:
    raise ValueError(text)


class Broken:
    def __repr__(self) -> str:
        raise ValueError("a row whose session is closed")


def test_passwords_in_variables_and_message_are_masked() -> None:
    error = raise_and_catch(url="postgresql://ada:hunter2@host/x", text="User(hashed_password='$argon2$x')")
    report = build_report(error, settings_for("sqlite://"))
    assert "hunter2" not in str(report)
    assert "$argon2" not in report.variables["text"] + report.message


def test_secrets_of_settings_are_masked() -> None:
    settings = settings_for("sqlite://").model_copy(update={"llm_api_key": SecretStr("sk-abcdef")})
    escaped = settings.model_copy(update={"llm_api_key": SecretStr("sk-'ab\\cd")})
    for text in ("sk-'ab\\cd", "sk-'ab\\cd \""):
        assert "cd" not in build_report(raise_and_catch(text=text), escaped).variables["text"]
    assert "sk-abcdef" not in str(build_report(raise_and_catch(text="sent sk-abcdef"), settings))
    for length in range(130, 160):  # at a cut
        text = f"{'.' * length}sk-abcdef{'.' * 9999}sk-abcdef{'.' * length}"
        assert not re.search("sk-a|cdef", build_report(raise_and_catch(row=[text]), settings).variables["row"])


def test_failing_repr_is_replaced() -> None:
    variables = build_report(raise_and_catch(row=Broken()), settings_for("sqlite://")).variables
    assert variables["row"].startswith("<Broken instance at ")
