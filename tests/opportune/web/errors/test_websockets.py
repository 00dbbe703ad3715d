"""WebSockets on a feature's routers: accepted and refused connections, and their close codes."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, WebSocket
from httpx2 import AsyncClient
from sqlalchemy.exc import OperationalError

from opportune.accounts import CurrentUser, OptionalUser, User, may
from opportune.accounts.models import Group
from opportune.admin.log.recording import _entry_values
from opportune.config import Settings, installed_features
from opportune.db import DatabaseDependency, ReadSession
from opportune.errors import NotFound, Refused
from opportune.feature import Feature
from opportune.i18n.languages import current_site_languages
from opportune.testing import add_permission, make_token, make_user, sign_in
from opportune.testing.app import create_test_app
from opportune.web.time_zone import current_zone

Messages = list[dict[str, Any]]
SITE_ORIGIN = "http://testserver"
pages, api = APIRouter(prefix="/live"), APIRouter()


@pages.websocket("/echo/{room}")
async def echo(socket: WebSocket, room: int, user: OptionalUser, prefix: str = "") -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{room} {user.email if user else 'anonymous'} {prefix}{text}")


@pages.websocket("/export")
async def export(socket: WebSocket, _user: Annotated[User, may("todo", "export")]) -> None:
    await socket.accept()
    await socket.close()


@pages.websocket("/endless")
async def endless(socket: WebSocket, _database: DatabaseDependency) -> None:
    await socket.accept()
    while True:
        await socket.receive_text()


@pages.websocket("/raises/{name}")
async def raises(_socket: WebSocket, name: str) -> None:
    raise ERRORS[name]


@pages.websocket("/origin")
async def describe_origin(socket: WebSocket, _user: OptionalUser) -> None:
    await socket.accept()
    entry = _entry_values("create", Group(id=1, name="Staff"), {}) or {}
    values = [entry.get(name) for name in ("actor_id", "channel", "address")]
    await socket.send_json([*values, str(current_zone.get()), current_site_languages.get()[0]])


@pages.websocket("/crashes")
async def crashes(socket: WebSocket) -> None:
    await socket.accept()
    raise ValueError("odd")


@pages.websocket("/reads")
async def reads(socket: WebSocket, _session: ReadSession) -> None: ...


ERRORS: dict[str, Exception] = {
    "missing": NotFound(),
    "conflict": HTTPException(409, "The room is full."),
    "object": HTTPException(409, {"code": "full"}),
    "refused": Refused("No seats."),
    "outage": OperationalError("select 1", {}, Exception("unable to open database file")),
}


@api.websocket("/live/me")
async def me(socket: WebSocket, user: CurrentUser) -> None:
    await socket.accept()
    await socket.send_text(user.email)
    await socket.close()


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    live = Feature("live", "Live.", pages=pages, api=api)
    site = create_test_app(settings, [*installed_features(), live])
    site.mount("/mounted", FastAPI(routes=[*pages.routes]))
    async with site.router.lifespan_context(site):
        yield site


async def connect(app: FastAPI, path: str, *data: str | bytes, headers: Mapping[str, str] | None = None) -> Messages:
    """Connect, send these messages, leave, and return what the site has sent."""
    incoming: Messages = [{"type": "websocket.connect"}]
    incoming += [{"type": "websocket.receive", "text" if isinstance(item, str) else "bytes": item} for item in data]
    incoming.append({"type": "websocket.disconnect", "code": 1000})
    sent: Messages = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    lines = {"host": "testserver", **(headers or {})}
    scope = {
        "type": "websocket",
        "scheme": "ws",
        "root_path": "",
        "path": path,
        "query_string": query.encode(),
        "state": {},
        "client": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in lines.items()],
    }
    await app(scope, receive, send)
    return sent


async def session_headers(app: FastAPI, user: User) -> dict[str, str]:
    """Return the headers of a browser in which the user is signed in."""
    async with AsyncClient() as client:
        await sign_in(client, app, user)
        (name, value), *_ = client.cookies.items()
    return {"cookie": f"{name}={value}", "origin": SITE_ORIGIN}


async def test_socket_has_user_path_and_query(app: FastAPI) -> None:
    user = await make_user(app.state.database, "ada@example.com")
    sent = await connect(app, "/live/echo/7?prefix=to+", "you", "me", headers=await session_headers(app, user))
    assert [message.get("text") for message in sent[1:]] == ["7 ada@example.com to you", "7 ada@example.com to me"]


async def test_socket_has_origin_zone_and_language(app: FastAPI) -> None:
    user = await make_user(app.state.database, "ada@example.com")
    headers = await session_headers(app, user)
    headers["cookie"] += "; time_zone=Asia/Tokyo"
    _, message = await connect(app, "/live/origin", headers=headers)
    assert json.loads(message["text"]) == [user.id, "page", "127.0.0.1", "Asia/Tokyo", "en"]


async def test_socket_needs_a_user_with_its_permission(app: FastAPI, user: User) -> None:
    assert await connect(app, "/live/export") == [{"type": "websocket.close", "code": 1008, "reason": "Sign in first."}]
    headers = await session_headers(app, user)
    (refusal,) = await connect(app, "/live/export", headers=headers)
    assert (refusal["type"], refusal["code"]) == ("websocket.close", 1008)
    await add_permission(app.state.database, user, "todo", "export")
    assert (await connect(app, "/live/export", headers=headers))[0]["type"] == "websocket.accept"


CLOSE_CODES: list[tuple[str, dict[str, str], int | None]] = [
    ("/live/echo/7", {"origin": SITE_ORIGIN}, None),
    ("/live/echo/7", {"origin": "https://evil.example"}, 1008),
    ("/live/echo/7", {"origin": "http://testserver:8080"}, 1008),
    ("/live/echo/7", {"origin": "null"}, 1008),
    ("/live/echo/x", {}, 1008),
    ("/live/nowhere", {}, 1000),
]


async def test_only_valid_path_and_own_origin_connect(app: FastAPI) -> None:
    for path, headers, code in CLOSE_CODES:
        first = (await connect(app, path, headers=headers))[0]
        expected = "websocket.close" if code else "websocket.accept"
        assert (first["type"], first.get("code")) == (expected, code), (path, headers)


async def test_refused_socket_is_in_the_security_log(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    user = await make_user(app.state.database)
    await connect(app, "/live/export", headers=await session_headers(app, user))
    (line,) = (record.getMessage() for record in caplog.records if record.name == "opportune.security")
    assert line.startswith("permission_refused ")
    assert f"account={user.id} method=WEBSOCKET path=/live/export" in line


async def test_errors_close_the_socket_with_code_and_reason(app: FastAPI) -> None:
    for name, code, reason in (
        ("missing", 1008, "Not found."),
        ("conflict", 1008, "The room is full."),
        ("object", 1008, "This conflicts with existing data. Load the page again to see it."),
        ("refused", 1008, "No seats."),
        ("outage", 1013, "Try again in a moment."),
    ):
        sent = await connect(app, f"/live/raises/{name}")
        assert sent == [{"type": "websocket.close", "code": code, "reason": reason}], name


async def test_bug_after_accept_closes_and_is_logged(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    sent = await connect(app, "/live/crashes")
    assert sent[-1] == {"type": "websocket.close", "code": 1011}
    assert "ValueError: odd" in caplog.text


async def test_bytes_for_a_text_route_close_the_socket(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    assert (await connect(app, "/live/echo/7", b"x"))[-1] == {"type": "websocket.close", "code": 1003}
    assert "Traceback" not in caplog.text


async def test_disconnect_ends_a_waiting_route(app: FastAPI) -> None:
    for path in ("/live/endless", "/mounted/live/endless"):
        assert [message["type"] for message in await connect(app, path)] == ["websocket.accept"], path


async def test_session_for_whole_connection_is_an_error(app: FastAPI) -> None:
    with pytest.raises(TypeError, match=r"would hold its database session .* `async with database\.reader\(\)`"):
        await connect(app, "/live/reads")


async def test_api_socket_needs_the_scope_of_its_token(app: FastAPI) -> None:
    user = await make_user(app.state.database, "ada@example.com")
    for scopes, accepted in (("write", True), ("read", False)):
        token = await make_token(app.state.database, user, scopes)
        sent = await connect(app, "/api/v1/live/me", headers={"authorization": f"Bearer {token}"})
        assert (sent[0]["type"] == "websocket.accept") is accepted
