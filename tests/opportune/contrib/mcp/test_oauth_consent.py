import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import AnyUrl

from opportune.accounts import User
from opportune.accounts.models import AccountEvent, ApiToken, Session
from opportune.contrib.mcp.oauth.models import McpGrant
from opportune.db import Database
from opportune.testing import make_user, signed_in_client
from tests.opportune.accounts.social_sign_in.conftest import refresh_url
from tests.opportune.contrib.mcp.library import SITE, open_mcp_client, read_text
from tests.opportune.contrib.mcp.oauth import CALLBACK, DENIAL, Program, consent_form, parse_query
from tests.opportune.stored_rows import change, read_all, read_one

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken


class Memory:
    """Storage of the SDK's client."""

    tokens: "OAuthToken | None" = None
    client: "OAuthClientInformationFull | None" = None

    async def get_tokens(self) -> "OAuthToken | None":
        return self.tokens

    async def set_tokens(self, tokens: "OAuthToken") -> None:
        self.tokens = tokens

    async def get_client_info(self) -> "OAuthClientInformationFull | None":
        return self.client

    async def set_client_info(self, client_info: "OAuthClientInformationFull") -> None:
        self.client = client_info


async def test_client_of_the_sdk_signs_in_with_a_secret(site: FastAPI, browser: AsyncClient) -> None:
    from mcp.client.auth import OAuthClientProvider  # as in `open_mcp_client`
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata  # as in `open_mcp_client`

    callback, redirects, memory = "http://127.0.0.1:51234/callback", list[str](), Memory()

    async def open_browser(url: str) -> None:
        assert (await browser.get(url)).status_code == 200
        redirects.append(refresh_url(await browser.post(url, data=consent_form("library:read"))))

    async def wait_for_redirect() -> AuthorizationCodeResult:
        redirect = redirects.pop()
        assert redirect.startswith(f"{callback}?")
        return AuthorizationCodeResult(**parse_query(redirect))

    basic: Any = {"token_endpoint_auth_method": "client_secret_basic"}
    metadata = OAuthClientMetadata(client_name="Claude", redirect_uris=[AnyUrl(callback)], **basic)
    auth = OAuthClientProvider(f"{SITE}/mcp", metadata, memory, open_browser, wait_for_redirect)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(site), auth=auth)
    async with open_mcp_client(f"{SITE}/mcp", http) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["whoami", "crash"]
        assert read_text(await client.call_tool("whoami")) == "ada@example.com"
        initial_tokens = memory.tokens
        auth.context.token_expiry_time = 1  # expired, so the next call refreshes the token
        assert read_text(await client.call_tool("whoami")) == "ada@example.com"
    assert initial_tokens
    assert memory.tokens
    assert memory.tokens.refresh_token != initial_tokens.refresh_token
    assert memory.tokens.scope == "library:read"


async def test_user_disconnects_a_program(site: FastAPI, program: Program, database: Database) -> None:
    access, refresh = await program.connect()
    browser = program.browser
    page = (await browser.get("/accounts/profile")).text
    action = re.search(r'action="(/accounts/oauth/programs/\d+/disconnect)"', page)
    assert action
    async with signed_in_client(site, await make_user(database, "eve@example.com")) as other:
        assert (await other.post(action[1])).status_code == 404
        assert "Assistant" not in (await other.get("/accounts/profile")).text
    response = await browser.post(action[1])
    assert (response.status_code, response.headers["Location"]) == (303, "/accounts/profile")
    assert "Assistant is disconnected." in (await browser.get("/accounts/profile")).text
    assert (await browser.post(action[1])).status_code == 404
    assert await program.status(access) == 401
    assert (await program.refresh(refresh)).status_code == 400
    assert await read_all(database, McpGrant) == []


async def test_consent_page_describes_the_request(program: Program) -> None:
    page = await program.browser.get(program.url())
    text = " ".join(re.sub(r"<[^>]*>", " ", page.text).split())
    for part in ("Assistant", "assistant.example", "ada@example.com", "Library: read what you can see", "Crashing"):
        assert part in text
    assert (page.headers["X-Frame-Options"], page.headers["Cache-Control"]) == ("DENY", "no-store, no-transform")
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("requested", "form"),
    [
        ("library:read", consent_form("library:read", "library:write")),
        (None, consent_form() | {"scopes": ()}),
        (None, consent_form("accounts:manage")),
        pytest.param(None, consent_form() | {"current_password": ""}, id="without the password"),
        pytest.param(None, consent_form() | {"current_password": "wrong"}, id="with a wrong password"),
    ],
)
async def test_invalid_consent_is_refused(program: Program, requested: str | None, form: dict[str, Any]) -> None:
    response = await program.consent(form, scope=requested)
    assert (response.status_code, "refresh" in response.text) == (422, False)


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Referer": "https://evil.example"}],
)
async def test_consent_from_another_site_is_refused(program: Program, headers: dict[str, str]) -> None:
    assert (await program.browser.post(program.url(), data=consent_form(), headers=headers)).status_code == 403


async def test_unknown_program_or_redirect_is_not_redirected(program: Program) -> None:
    urls = ["https://evil.example/callback", f"{CALLBACK}/more", "https://assistant.example:444/callback"]
    urls += ["javascript:alert(1)", "//evil.example"]
    unknown: list[dict[str, Any]] = [{"client_id": "nobody"}, *({"redirect_uri": url} for url in urls)]
    for changes in unknown:
        for response in (await program.browser.get(program.url(**changes)), await program.consent(**changes)):
            assert response.status_code == 400, changes
            assert "Location" not in response.headers, changes
            assert "evil" not in response.text, changes
            assert "http-equiv" not in response.text, changes


INVALID_REQUESTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"resource": "https://other.example/mcp"}, "invalid_target"),
    ({"scope": "accounts:manage"}, "invalid_scope"),
)


async def test_invalid_request_links_to_the_program_without_redirect(program: Program) -> None:
    """A redirect without a click would be an open redirect to any registered address."""
    for changes, error in INVALID_REQUESTS:
        response = await program.consent(**changes)
        assert response.status_code == 400, changes
        assert "http-equiv" not in response.text, changes
        link = re.search(r'href="(https://assistant[^"]*)"', response.text)
        assert link, changes
        query = parse_query(unescape(link[1]))
        assert (query["error"], query["state"], query["iss"]) == (error, "xyz", SITE), changes
    assert (await program.browser.get(f"{program.url()}&state=second")).status_code == 400, "a repeated parameter"


async def test_anonymous_user_signs_in_first(program: Program) -> None:
    response = await program.http.get(program.url())
    assert response.status_code == 303
    login = urlsplit(response.headers["Location"])
    assert (login.path, parse_qs(login.query)["next"]) == ("/accounts/login", [program.url()])


async def test_denied_request_stores_no_grant(program: Program, database: Database) -> None:
    redirect = refresh_url(await program.consent(DENIAL))
    assert parse_query(redirect) == {"error": "access_denied", "state": "xyz", "iss": SITE}
    assert await read_all(database, McpGrant) == []


async def test_impersonator_cannot_authorize(site: FastAPI, database: Database, program: Program, ada: User) -> None:
    root = await make_user(database, is_superuser=True)
    async with signed_in_client(site, root) as admin:
        root_session, user_session = [await read_one(database, Session, user_id=user.id) for user in (root, ada)]
        await change(database, user_session, impersonator_session_id=root_session.id)
        assert (await admin.get(program.url())).status_code == 200
        assert (await program.browser.get(program.url())).status_code == 403
        assert (await program.consent()).status_code == 403


async def test_consent_is_recorded_before_there_is_a_token(program: Program, database: Database) -> None:
    await program.request_code("library:read")
    event = await read_one(database, AccountEvent, kind="program_connected")
    assert event.details == {"name": "Assistant", "scopes": "library:read"}
    assert await read_all(database, ApiToken) == []
