"""The site's tools by the Model Context Protocol, asked by its own SDK's client."""

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from opportune.accounts import User
from opportune.contrib.mcp import pages
from opportune.contrib.teams import CurrentTeam
from opportune.db import Database
from opportune.feature import Feature
from opportune.features import teams
from opportune.testing import make_team, make_token, make_user, signed_in_client
from tests.opportune.contrib.mcp.library import LIBRARY, mcp_client, site_of, text_of

pytestmark = pytest.mark.database("sqlite")


async def team_name(team: CurrentTeam) -> str:
    """Tell the team."""
    return team.name


@pytest.fixture
async def site(app: FastAPI) -> FastAPI:
    return site_of(app, LIBRARY)


@pytest.fixture
async def ada(database: Database) -> User:
    return await make_user(database, "ada@example.com")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_program_lists_the_tools_has_them_called_for_its_person_and_faults_say_nothing_of_the_inside(
    site: FastAPI, database: Database, ada: User
) -> None:
    async with mcp_client(site, headers=bearer(await make_token(database, ada))) as client:
        listed = (await client.list_tools()).tools
        assert [(each.name, each.title, each.description) for each in listed] == [
            ("whoami", "Tell who asks", "Tell who asks."),
            ("sign_out_everywhere", "Change something", "Change something."),
            ("crash", "Crashing", "Crash."),
            ("send_message", "Send a message", "Send a message."),
        ]
        assert [each.annotations and each.annotations.read_only_hint for each in listed] == [True, False, True, False]
        assert text_of(await client.call_tool("whoami")) == "ada@example.com"
        assert text_of(await client.call_tool("sign_out_everywhere")) == "Changed for ada@example.com."

        for name, arguments, said in (
            ("crash", {}, "The tool failed."),
            ("whoami", {"more": 1}, "more: Extra inputs are not permitted"),
            ("nothing", {}, "There is no tool nothing."),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error
            assert text_of(result).startswith(said)


async def test_a_token_has_the_tools_that_its_scopes_are_good_for(site: FastAPI, database: Database, ada: User) -> None:
    async with mcp_client(site, headers=bearer(await make_token(database, ada, "library:read"))) as client:
        assert [each.name for each in (await client.list_tools()).tools] == ["whoami", "crash"]
        for name in ("sign_out_everywhere", "send_message"):
            result = await client.call_tool(name)
            assert result.is_error
            assert text_of(result) == "This token may not do this: it lacks the scope library:write."
    async with mcp_client(site, headers=bearer(await make_token(database, ada, "accounts:manage"))) as client:
        assert (await client.list_tools()).tools == []


async def test_a_program_says_which_of_many_teams_it_means(app: FastAPI, database: Database, ada: User) -> None:
    site = site_of(app, teams, Feature(name="library", summary="", tools=[team_name]))
    team_name.__module__ = "app.library.tools"
    token = await make_token(database, ada)
    first = await make_team(database, ada, {}, name="Alpha")
    async with mcp_client(site, headers=bearer(token)) as client:
        assert text_of(await client.call_tool("team_name")) == "Alpha"
    await make_team(database, ada, {}, name="Beta")
    async with mcp_client(site, headers=bearer(token)) as client:
        assert "say which one in the header X-Team" in text_of(await client.call_tool("team_name"))
    async with mcp_client(site, headers=bearer(token) | {"X-Team": str(first.id)}) as client:
        assert text_of(await client.call_tool("team_name")) == "Alpha"
    async with mcp_client(site, headers=bearer(token) | {"X-Team": "999"}) as client:
        assert (await client.call_tool("team_name")).is_error


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


async def test_who_has_no_token_is_told_where_to_learn_of_one(client: AsyncClient) -> None:
    for header in [None, "Bearer ", "Bearer nonsense", "Basic YTpi"]:
        headers = ACCEPT | ({"Authorization": header} if header else {})
        answer = await client.post("/mcp", json=INITIALIZE, headers=headers)
        assert answer.status_code == 401
        challenge = answer.headers["WWW-Authenticate"]
        assert "resource_metadata=" in challenge
        address = challenge.partition('"')[2].rstrip('"')
        told = (await client.get(address.partition("://")[2].partition("/")[2].join(("/", "")))).json()
        assert told["resource"].endswith("/mcp")
        assert told["bearer_methods_supported"] == ["header"]


async def test_a_browser_that_is_signed_in_is_no_program(app: FastAPI, ada: User) -> None:
    async with signed_in_client(app, ada) as browser:
        assert (await browser.post("/mcp", json=INITIALIZE, headers=ACCEPT)).status_code == 401


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_there_is_no_session_to_listen_to_or_to_end(client: AsyncClient, method: str) -> None:
    answer = await client.request(method, "/mcp")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


async def test_what_is_no_message_is_refused(client: AsyncClient, database: Database, ada: User) -> None:
    for body in (b"", b"{", b"[]", b"\xff", b'{"jsonrpc": "2.0", "method": "nothing", "id": 1}'):
        headers = {"Authorization": f"Bearer {await make_token(database, ada)}", "Content-Type": "application/json"}
        answer = await client.post("/mcp", content=body, headers=headers | ACCEPT)
        assert answer.status_code < 500, body
        assert "error" in answer.json(), body


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


async def test_results_are_structured_as_the_output_schema_says(app: FastAPI, database: Database, ada: User) -> None:
    for each in (find_book, list_pages):
        each.__module__ = "app.library.tools"
    site = site_of(app, Feature(name="library", summary="", tools=[find_book, list_pages]))
    async with mcp_client(site, headers=bearer(await make_token(database, ada))) as client:
        schemas = {each.name: each.output_schema for each in (await client.list_tools()).tools}
        assert schemas["find_book"] == {"type": "object", "additionalProperties": {"type": "string"}}
        assert schemas["list_pages"]
        assert schemas["list_pages"]["properties"] == {"result": {"type": "array", "items": {"type": "integer"}}}
        assert (await client.call_tool("find_book", {"title": "Dune"})).structured_content == {"title": "Dune"}
        assert (await client.call_tool("list_pages", {"book": 7})).structured_content == {"result": [7, 8]}


@pytest.mark.parametrize(
    ("origin", "status"), [("https://evil.example", 403), ("null", 403), ("http://testserver", 200)]
)
async def test_message_of_another_origin_is_refused(
    site: FastAPI, database: Database, ada: User, origin: str, status: int
) -> None:
    headers = bearer(await make_token(database, ada)) | {"Accept": "application/json", "Origin": origin}
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with AsyncClient(transport=ASGITransport(app=site), base_url="http://testserver") as client:
        assert (await client.post("/mcp", json=message, headers=headers)).status_code == status
