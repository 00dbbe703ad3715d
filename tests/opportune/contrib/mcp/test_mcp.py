import re
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.mcp import pages
from opportune.contrib.teams import CurrentTeam
from opportune.db import Database
from opportune.feature import Feature, Llm
from opportune.features import teams
from opportune.testing import make_team, make_token
from tests.opportune.contrib.mcp import library


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_tools_are_listed_and_called_for_the_user(open_library: library.Connect) -> None:
    async with open_library() as client:
        tools = (await client.list_tools()).tools
        assert [(tool.name, tool.title, tool.description) for tool in tools] == [
            ("whoami", "Return the user", "Return the user."),
            ("sign_out_everywhere", "Change something", "Change something."),
            ("crash", "Crashing", "Crash."),
            ("send_message", "Send a message", "Send a message."),
        ]
        assert [tool.annotations and tool.annotations.read_only_hint for tool in tools] == [True, False, True, False]
        assert library.read_text(await client.call_tool("whoami")) == "ada@example.com"
        assert library.read_text(await client.call_tool("sign_out_everywhere")) == "Changed for ada@example.com."


async def test_errors_of_tools_contain_no_internals(open_library: library.Connect) -> None:
    async with open_library() as client:
        for name, arguments, message in (
            ("crash", {}, "The tool failed."),
            ("whoami", {"more": 1}, "more: Extra inputs are not permitted"),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error
            assert library.read_text(result).startswith(message)
        unknown = await library.error_of(client.call_tool("nothing"))
        assert unknown == (library.INVALID_PARAMS, "There is no tool nothing.")


async def test_scopes_limit_the_tools_of_a_token(open_library: library.Connect) -> None:
    async with open_library("library:read") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["whoami", "crash"]
        for name in ("sign_out_everywhere", "send_message"):
            result = await client.call_tool(name)
            assert result.is_error
            assert library.read_text(result) == "This token lacks the scope library:write."
    async with open_library("accounts:manage") as client:
        assert (await client.list_tools()).tools == []


async def test_header_selects_one_of_several_teams(app: FastAPI, database: Database, ada: User) -> None:
    async def team_name(team: CurrentTeam) -> str:
        """Return the team."""
        return team.name

    team_name.__module__ = "app.library.tools"
    site = library.create_site(app, teams, Feature("library", llm=Llm(tools=[team_name])))
    alpha, _ = [await make_team(database, ada, {}, name=name) for name in ("Alpha", "Beta")]
    async with library.connect(site, ada) as client:
        assert "in the header X-Team" in library.read_text(await client.call_tool("team_name"))
    async with library.connect(site, ada, **{"X-Team": str(alpha.id)}) as client:
        assert library.read_text(await client.call_tool("team_name")) == "Alpha"


@pytest.mark.parametrize("header", [None, "Bearer nonsense"])
async def test_request_without_token_gets_the_metadata_address(client: AsyncClient, header: str | None) -> None:
    headers = library.ACCEPT | ({"Authorization": header} if header else {})
    response = await client.post("/mcp", json=library.INITIALIZE, headers=headers)
    assert response.status_code == 401
    url = re.search(r'resource_metadata="([^"]*)"', response.headers["WWW-Authenticate"])
    assert url
    metadata = (await client.get(urlsplit(url[1]).path)).json()
    assert metadata["resource"].endswith("/mcp")
    assert metadata["bearer_methods_supported"] == ["header"]


async def test_session_cookie_is_no_token(browser: AsyncClient) -> None:
    assert (await browser.post("/mcp", json=library.INITIALIZE, headers=library.ACCEPT)).status_code == 401


async def test_invalid_message_is_refused(http: AsyncClient, database: Database, ada: User) -> None:
    headers = library.ACCEPT | bearer(await make_token(database, ada)) | {"Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b"\xff", b'{"jsonrpc": "2.0", "method": "nothing", "id": 1}'):
        response = await http.post("/mcp", content=body, headers=headers)
        assert response.status_code < 500, body
        assert "error" in response.json(), body


async def test_message_limit(http: AsyncClient, database: Database, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages.CALLS, "limit", 1)
    headers = library.ACCEPT | bearer(await make_token(database, ada))
    statuses = [(await http.post("/mcp", json=library.INITIALIZE, headers=headers)).status_code for _ in range(2)]
    assert statuses == [200, 429]


@pytest.mark.parametrize(
    ("origin", "status"), [("https://evil.example", 403), ("null", 403), ("http://testserver", 200)]
)
async def test_message_from_another_origin_is_refused(
    http: AsyncClient, database: Database, ada: User, origin: str, status: int
) -> None:
    headers = bearer(await make_token(database, ada)) | {"Accept": "application/json", "Origin": origin}
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert (await http.post("/mcp", json=message, headers=headers)).status_code == status
