"""The examples of docs/features.md."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import ASGITransport, AsyncClient
from starlette.websockets import WebSocketDisconnect

from opportune.accounts.sessions.service import create_session
from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.features import accounts, jobs
from opportune.testing import make_user
from opportune.testing.plugin import settings_for
from tests.opportune import declaration_tables
from tests.opportune.guides import code_blocks, read_guide, run_code

GUIDE = read_guide("features.md")


@pytest.fixture
def names() -> dict[str, object]:
    return run_code(*code_blocks(GUIDE))


def books(names: dict[str, object]) -> Feature:
    return Feature("books", settings=names["BooksSettings"], api=names["router"])  # type: ignore[arg-type]


async def test_route_gets_feature_settings(names: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKS_PER_PAGE", "7")
    app: FastAPI = create_app(settings_for("sqlite:///unused.db"), [books(names)])
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        assert (await client.get("/api/v1/books/limits")).json() == {"per page": 7}


@pytest.mark.database("sqlite", "postgresql")
def test_websocket_has_its_user(names: dict[str, object], settings: Settings) -> None:
    books_with_pages = Feature("books", settings=names["BooksSettings"], pages=names["pages"])  # type: ignore[arg-type]
    app = create_app(settings, [accounts, jobs, books_with_pages])
    with TestClient(app) as client:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/books/live/a"):
            pass
        assert client.portal is not None
        token = client.portal.call(new_session, app)
        client.cookies.set("session", token)
        with client.websocket_connect("/books/live/a") as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "ada@example.com on a: hello"


async def new_session(app: FastAPI) -> str:
    user = await make_user(app.state.database, "ada@example.com")
    async with app.state.database.writer() as session:
        return await create_session(session, app.state.settings, user)


async def test_event_stream_ends_when_the_site_stops(names: dict[str, Any], app: FastAPI) -> None:
    events = names["lent_books"](app, app.state.database)
    assert await anext(events) == b'event: lent\ndata: {"lent": 3}\n\n'
    app.state.shutting_down.set()
    await events.aclose()
    assert [event async for event in names["lent_books"](app, app.state.database)] == []


def test_guide_has_the_fields_of_all_declarations() -> None:
    message = "run: .venv/bin/python -m tests.opportune.declaration_tables"
    assert declaration_tables.GUIDE.read_text(encoding="utf-8") == declaration_tables.update(), message
