from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from opportune.config.settings import Settings
from opportune.contrib.mcp.oauth import routes
from opportune.contrib.mcp.oauth.models import CLEANUPS, McpClient
from opportune.contrib.mcp.oauth.redirects import find_redirect, parse_redirect
from opportune.db import Database, utc_now
from opportune.jobs.cleanup import clean_up
from tests.opportune.accounts.social_sign_in.conftest import refresh_url
from tests.opportune.contrib.mcp.library import SITE
from tests.opportune.contrib.mcp.oauth import CALLBACK, DENIAL, OAUTH, Program, read_error, register
from tests.opportune.stored_rows import read_all, set_all


async def list_program_names(database: Database) -> list[str]:
    return [client.name for client in await read_all(database, McpClient)]


async def test_metadata_describes_the_endpoints(http: AsyncClient) -> None:
    resource = (await http.get("/.well-known/oauth-protected-resource/mcp")).json()
    assert resource["resource"] == f"{SITE}/mcp"
    assert resource["authorization_servers"] == [SITE]
    assert resource["scopes_supported"] == ["library:read", "library:write"]
    server = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert server["issuer"] == SITE
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert {server[f"{name}_endpoint"] for name in ("authorization", "token", "registration", "revocation")} == {
        f"{SITE}{OAUTH}/{name}" for name in ("authorize", "token", "register", "revoke")
    }


INVALID_REDIRECTS: tuple[list[str] | None, ...] = (
    ["http://evil.example/callback"],
    [CALLBACK, "javascript:alert(1)"],
    ["ms-msdt:/id", "cursor:alert"],
    ["vscode://file/etc/passwd"],
    ["vscode://vscode.git/clone?url=https://evil.example/x"],
    [f"{CALLBACK}#part"],
    [f"https://a.example/{'a' * 1000}"],
    ["https://user:pass@a.example/"],
    [f"{CALLBACK}{number}" for number in range(11)],
    None,
)
INVALID_OPTIONS: tuple[tuple[dict[str, Any], str], ...] = (
    *(({"redirect_uris": redirects}, "invalid_redirect_uri") for redirects in INVALID_REDIRECTS),
    ({"redirect_uris": []}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    ({"client_name": "a" * 30_000}, "invalid_client_metadata"),
)


async def test_invalid_registration_is_refused(http: AsyncClient, database: Database) -> None:
    for options, error in INVALID_OPTIONS:
        metadata = {"client_name": "Assistant", "redirect_uris": [CALLBACK]} | options
        response = await http.post(f"{OAUTH}/register", json=metadata)
        assert (response.status_code, read_error(response)) == (400, error), options
        assert await list_program_names(database) == [], options


async def test_editor_registers_and_gets_its_redirect(http: AsyncClient, browser: AsyncClient) -> None:
    callback = "cursor://anysphere.cursor-mcp/oauth/callback"
    redirects = [callback, "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"]
    registered = await register(http, client_name="Cursor", redirect_uris=redirects, application_type="web")
    program = Program(http, browser, registered["client_id"])
    assert refresh_url(await program.consent(redirect_uri=callback)).startswith(f"{callback}?code=")
    denied = (await program.consent(DENIAL, redirect_uri=callback)).text
    assert f'href="{callback}?error=access_denied' in denied
    assert 'http-equiv="refresh"' not in denied, "a denial must not open a program"


async def test_unused_programs_limit(program: Program, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await program.connect()
    monkeypatch.setattr("opportune.contrib.mcp.oauth.provider.MAX_UNUSED_CLIENTS", 2)
    for number in range(4):
        await register(program.http, client_name=f"Flood\u202e {number}")
    assert await list_program_names(database) == ["Assistant", "Flood 2", "Flood 3"]


async def test_unused_programs_are_deleted(program: Program, database: Database, settings: Settings) -> None:
    await program.connect()
    await register(program.http, client_name="Unused")
    await set_all(database, McpClient, created_at=utc_now() - timedelta(days=2))
    await clean_up(database, settings, CLEANUPS)
    assert await list_program_names(database) == ["Assistant"]


async def test_registrations_are_limited(http: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes.REGISTRATIONS, "limit", 1)
    await register(http)
    assert (await http.post(f"{OAUTH}/register", json={})).status_code == 429


@pytest.mark.parametrize(
    ("registered", "requested", "is_allowed"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:4711/cb", True),
        ("http://[::1]:1/cb", "http://[::1]:2/cb", True),
        ("http://localhost:1/cb", "http://localhost:1/other", False),
        ("http://localhost:1/cb", "http://127.0.0.1:1/cb", False),
        ("http://localhost:1/cb", "http://localhost.evil.example:1/cb", False),
        ("http://localhost:1/cb", "https://localhost:1/cb", False),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback", True),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp:1/oauth/callback", False),
        ("https://a.example/cb", "https://a.example/cb/../cb2", False),
        ("https://a.example/cb", "https://a.example@evil.example/cb", False),
        ("https://a.example/cb", "https://a.example\\@evil.example/cb", False),
    ],
)
def test_redirect_must_match_except_for_the_local_port(registered: str, requested: str, *, is_allowed: bool) -> None:
    assert parse_redirect(registered)
    assert (find_redirect([registered], requested) is not None) is is_allowed
