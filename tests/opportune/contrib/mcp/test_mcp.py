import re
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.accounts import User
from opportune.contrib.mcp import pages
from opportune.contrib.teams import CurrentTeam
from opportune.db import Database
from opportune.feature import Feature, Llm
from opportune.features import teams
from opportune.testing import make_team, make_token, signed_in_client
from tests.opportune.contrib.mcp.library import ACCEPT, INITIALIZE, create_site, open_mcp_client, read_text


async def team_name(team: CurrentTeam) -> str:
    """Return the team."""
    return team.name


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_tools_are_listed_and_called_for_the_user(site: FastAPI, database: Database, ada: User) -> None:
    async with open_mcp_client(site, headers=bearer(await make_token(database, ada))) as client:
        tools = (await client.list_tools()).tools
        assert [(tool.name, tool.title, tool.description) for tool in tools] == [
            ("whoami", "Return the user", "Return the user."),
            ("sign_out_everywhere", "Change something", "Change something."),
            ("crash", "Crashing", "Crash."),
            ("send_message", "Send a message", "Send a message."),
        ]
        assert [tool.annotations and tool.annotations.read_only_hint for tool in tools] == [True, False, True, False]
        assert read_text(await client.call_tool("whoami")) == "ada@example.com"
        assert read_text(await client.call_tool("sign_out_everywhere")) == "Changed for ada@example.com."


async def test_errors_of_tools_contain_no_internals(site: FastAPI, database: Database, ada: User) -> None:
    async with open_mcp_client(site, headers=bearer(await make_token(database, ada))) as client:
        for name, arguments, message in (
            ("crash", {}, "The tool failed."),
            ("whoami", {"more": 1}, "more: Extra inputs are not permitted"),
            ("nothing", {}, "There is no tool nothing."),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error
            assert read_text(result).startswith(message)


async def test_scopes_limit_the_tools_of_a_token(site: FastAPI, database: Database, ada: User) -> None:
    async with open_mcp_client(site, headers=bearer(await make_token(database, ada, "library:read"))) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["whoami", "crash"]
        for name in ("sign_out_everywhere", "send_message"):
            result = await client.call_tool(name)
            assert result.is_error
            assert read_text(result) == "This token lacks the scope library:write."
    async with open_mcp_client(site, headers=bearer(await make_token(database, ada, "accounts:manage"))) as client:
        assert (await client.list_tools()).tools == []


async def test_header_selects_one_of_several_teams(app: FastAPI, database: Database, ada: User) -> None:
    site = create_site(app, teams, Feature("library", llm=Llm(tools=[team_name])))
    team_name.__module__ = "app.library.tools"
    token = await make_token(database, ada)
    alpha = await make_team(database, ada, {}, name="Alpha")
    async with open_mcp_client(site, headers=bearer(token)) as client:
        assert read_text(await client.call_tool("team_name")) == "Alpha"
    await make_team(database, ada, {}, name="Beta")
    async with open_mcp_client(site, headers=bearer(token)) as client:
        assert "in the header X-Team" in read_text(await client.call_tool("team_name"))
    async with open_mcp_client(site, headers=bearer(token) | {"X-Team": str(alpha.id)}) as client:
        assert read_text(await client.call_tool("team_name")) == "Alpha"
    async with open_mcp_client(site, headers=bearer(token) | {"X-Team": "999"}) as client:
        assert (await client.call_tool("team_name")).is_error


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer nonsense", "Basic YTpi"])
async def test_request_without_token_gets_the_metadata_address(client: AsyncClient, header: str | None) -> None:
    headers = ACCEPT | ({"Authorization": header} if header else {})
    response = await client.post("/mcp", json=INITIALIZE, headers=headers)
    assert response.status_code == 401
    url = re.search(r'resource_metadata="([^"]*)"', response.headers["WWW-Authenticate"])
    assert url
    metadata = (await client.get(urlsplit(url[1]).path)).json()
    assert metadata["resource"].endswith("/mcp")
    assert metadata["bearer_methods_supported"] == ["header"]


async def test_session_cookie_is_no_token(app: FastAPI, ada: User) -> None:
    async with signed_in_client(app, ada) as browser:
        assert (await browser.post("/mcp", json=INITIALIZE, headers=ACCEPT)).status_code == 401


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_sessions_are_not_supported(client: AsyncClient, method: str) -> None:
    response = await client.request(method, "/mcp")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


async def test_invalid_message_is_refused(client: AsyncClient, database: Database, ada: User) -> None:
    for body in (b"", b"{", b"[]", b"\xff", b'{"jsonrpc": "2.0", "method": "nothing", "id": 1}'):
        headers = {"Authorization": f"Bearer {await make_token(database, ada)}", "Content-Type": "application/json"}
        response = await client.post("/mcp", content=body, headers=headers | ACCEPT)
        assert response.status_code < 500, body
        assert "error" in response.json(), body


async def test_too_many_messages_are_refused(
    client: AsyncClient, database: Database, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages.CALLS, "limit", 1)
    headers = {"Authorization": f"Bearer {await make_token(database, ada)}"} | ACCEPT
    assert (await client.post("/mcp", json=INITIALIZE, headers=headers)).status_code == 200
    assert (await client.post("/mcp", json=INITIALIZE, headers=headers)).status_code == 429


async def find_book(title: str) -> dict[str, str]:
    """Find a book."""
    return {"title": title}


async def list_pages(book: int) -> list[int]:
    """List the pages of a book."""
    return [book, book + 1]


async def test_structured_results_match_the_output_schema(app: FastAPI, database: Database, ada: User) -> None:
    for function in (find_book, list_pages):
        function.__module__ = "app.library.tools"
    site = create_site(app, Feature("library", llm=Llm(tools=[find_book, list_pages])))
    async with open_mcp_client(site, headers=bearer(await make_token(database, ada))) as client:
        schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        assert schemas["find_book"] == {"type": "object", "additionalProperties": {"type": "string"}}
        assert schemas["list_pages"]
        assert schemas["list_pages"]["properties"] == {"result": {"type": "array", "items": {"type": "integer"}}}
        assert (await client.call_tool("find_book", {"title": "Dune"})).structured_content == {"title": "Dune"}
        assert (await client.call_tool("list_pages", {"book": 7})).structured_content == {"result": [7, 8]}


@pytest.mark.parametrize(
    ("origin", "status"), [("https://evil.example", 403), ("null", 403), ("http://testserver", 200)]
)
async def test_message_from_another_origin_is_refused(
    site: FastAPI, database: Database, ada: User, origin: str, status: int
) -> None:
    headers = bearer(await make_token(database, ada)) | {"Accept": "application/json", "Origin": origin}
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with AsyncClient(transport=ASGITransport(app=site), base_url="http://testserver") as client:
        assert (await client.post("/mcp", json=message, headers=headers)).status_code == status
