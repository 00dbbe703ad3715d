"""Programs that sign in at `/mcp` by themselves, as the specification says, and what others may try with that."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from pydantic import AnyUrl
from sqlalchemy import func, select, update
from sqlmodel import col

from opportune.accounts import User
from opportune.accounts.models import AccountEvent, ApiToken, Session
from opportune.accounts.tokens import jwt_strategy
from opportune.accounts.users.credentials import delete_all_sessions
from opportune.contrib.mcp.oauth import cleanup, routes
from opportune.contrib.mcp.oauth.models import McpClient, McpGrant
from opportune.contrib.mcp.oauth.redirects import find_redirect, parse_redirect
from opportune.db import Database
from opportune.db.models.model import utc_now
from opportune.testing import PASSWORD, make_token, make_user, signed_in_client
from tests.opportune.contrib.mcp.library import LIBRARY, SITE, mcp_client, site_of, text_of

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

pytestmark = pytest.mark.database("sqlite")

BACK = "https://assistant.example/callback"
VERIFIER = "a" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
AUTHORIZE = "/accounts/oauth/authorize"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
async def site(app: FastAPI) -> FastAPI:
    return site_of(app, LIBRARY)


@pytest.fixture
async def ada(database: Database) -> User:
    return await make_user(database, "ada@example.com")


@pytest.fixture
async def browser(site: FastAPI, ada: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(site, ada) as browser:
        yield browser


@pytest.fixture
async def program(site: FastAPI) -> AsyncIterator[AsyncClient]:
    """A program without anybody's cookies."""
    async with AsyncClient(transport=ASGITransport(site), base_url=SITE) as program:
        yield program


async def register(program: AsyncClient, **said: Any) -> dict[str, Any]:
    said = {"client_name": "Assistant", "redirect_uris": [BACK], "token_endpoint_auth_method": "none"} | said
    answer = await program.post("/accounts/oauth/register", json=said)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
async def client_id(program: AsyncClient) -> str:
    return str((await register(program))["client_id"])


def asking(client_id: str, /, **other: str | None) -> str:
    """The address that a program sends somebody to."""
    query = {
        "client_id": client_id,
        "redirect_uri": BACK,
        "response_type": "code",
        "state": "xyz",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "resource": f"{SITE}/mcp",
    } | other
    return f"{AUTHORIZE}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def allowing(*scopes: str) -> dict[str, Any]:
    return {"decision": "allow", "scopes": scopes or ("library:read", "library:write"), "current_password": PASSWORD}


def sent_to(page: Response) -> str:
    """Where a page leads on by itself."""
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', page.text)
    assert found, page.text
    return unescape(found[1])


async def code_for(browser: AsyncClient, address: str, *scopes: str) -> str:
    page = await browser.post(address, data=allowing(*scopes))
    return dict(parse_qsl(urlsplit(sent_to(page)).query))["code"]


async def exchange(program: AsyncClient, client_id: str, code: str, /, **other: str | None) -> Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client_id,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "resource": f"{SITE}/mcp",
    } | other
    data = {name: value for name, value in form.items() if value is not None}
    return await program.post("/accounts/oauth/token", data=data)


async def refresh(program: AsyncClient, client_id: str, token: str, **other: str) -> Response:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id} | other
    return await program.post("/accounts/oauth/token", data=form)


async def connect(program: AsyncClient, browser: AsyncClient, client_id: str, *scopes: str) -> dict[str, Any]:
    answer = await exchange(program, client_id, await code_for(browser, asking(client_id), *scopes))
    assert answer.status_code == 200, answer.text
    granted: dict[str, Any] = answer.json()
    return granted


async def status_of(program: AsyncClient, token: str) -> int:
    headers = ACCEPT | {"Authorization": f"Bearer {token}"}
    return (await program.post("/mcp", json=INITIALIZE, headers=headers)).status_code


class Memory:
    """What the SDK's client keeps."""

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


async def test_the_sdks_client_signs_in_by_itself_and_is_listed_told_of_and_ended(
    site: FastAPI, browser: AsyncClient, database: Database
) -> None:
    """With a secret; those of the other tests have none."""
    from mcp.client.auth import OAuthClientProvider  # noqa: PLC0415 - as in `mcp_client`
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata  # noqa: PLC0415 - as in `mcp_client`

    back, answers, memory = "http://127.0.0.1:51234/callback", list[str](), Memory()

    async def go_there(address: str) -> None:
        assert (await browser.get(address)).status_code == 200
        answers.append(sent_to(await browser.post(address, data=allowing("library:read"))))

    async def come_back() -> AuthorizationCodeResult:
        answer = answers.pop()
        assert answer.startswith(f"{back}?")
        return AuthorizationCodeResult(**dict(parse_qsl(urlsplit(answer).query)))

    basic: Any = {"token_endpoint_auth_method": "client_secret_basic"}
    said = OAuthClientMetadata(client_name="Claude", redirect_uris=[AnyUrl(back)], **basic)
    auth = OAuthClientProvider(f"{SITE}/mcp", said, memory, go_there, come_back)
    async with mcp_client(site, auth=auth) as client:
        assert [each.name for each in (await client.list_tools()).tools] == ["whoami", "crash"]
        assert text_of(await client.call_tool("whoami")) == "ada@example.com"
        first = memory.tokens
        auth.context.token_expiry_time = 1  # over: the next call fetches another one
        assert text_of(await client.call_tool("whoami")) == "ada@example.com"
        assert first
        assert memory.tokens
        assert memory.tokens.refresh_token != first.refresh_token
    assert memory.tokens.scope == "library:read"
    assert "Claude" in (await browser.get("/accounts/tokens")).text
    assert "Claude may use your account" in (await browser.get("/accounts/events")).text
    profile = (await browser.get("/accounts/profile")).text
    assert "<strong>Claude</strong> on your computer" in profile
    disconnect = re.search(r'action="(/accounts/oauth/programs/\d+/disconnect)"', profile)
    assert disconnect
    async with signed_in_client(site, await make_user(database, "eve@example.com")) as other:
        assert "Claude" not in (await other.get("/accounts/profile")).text
        assert (await other.post(disconnect[1])).status_code == 404
    answer = await browser.post(disconnect[1])
    assert (answer.status_code, answer.headers["Location"]) == (303, "/accounts/profile")
    assert "Claude is disconnected." in (await browser.get("/accounts/profile")).text
    assert (await browser.post(disconnect[1])).status_code == 404
    async with AsyncClient(transport=ASGITransport(site), base_url=SITE) as program:
        assert await status_of(program, memory.tokens.access_token) == 401
        assert (await refresh(program, memory.client.client_id if memory.client else "", "x")).status_code in (400, 401)
    async with database.reader(fresh=True) as session:
        assert (await session.scalar(select(func.count()).select_from(McpGrant))) == 0, "it went with the token"


async def test_somebody_is_asked_in_words_and_a_request_that_is_wrong_or_of_another_site_sends_nobody_anywhere(
    program: AsyncClient, browser: AsyncClient, client_id: str
) -> None:
    """A redirect without a click would lead any link to this site to whatever address somebody registers."""
    page = await browser.get(asking(client_id))
    text = " ".join(re.sub(r"<[^>]*>", " ", page.text).split())
    for words in ("Assistant", "assistant.example", "ada@example.com", "Library: look at what you can see", "Crashing"):
        assert words in text
    assert (page.headers["X-Frame-Options"], page.headers["Cache-Control"]) == ("DENY", "no-store, no-transform")
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert (await connect(program, browser, client_id, "library:write"))["scope"] == "library:write"
    narrow = await browser.post(asking(client_id, scope="library:read"), data=allowing("library:read", "library:write"))
    assert narrow.status_code == 422, "what the program has not asked for cannot be allowed"
    for form in (allowing() | {"scopes": ()}, allowing("accounts:manage")):
        assert (await browser.post(asking(client_id), data=form)).status_code == 422

    foreign = (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "https://evil.example"},
    )
    for headers in foreign:
        assert (await browser.post(asking(client_id), data=allowing(), headers=headers)).status_code == 403

    for other in UNTRUSTED:
        address = asking(client_id, **other)
        for answer in (await browser.get(address), await browser.post(address, data=allowing())):
            assert answer.status_code == 400, other
            assert "Location" not in answer.headers
            assert "evil" not in answer.text
            assert "http-equiv" not in answer.text

    for other, error in WRONG:
        answer = await browser.post(asking(client_id, **other), data=allowing())
        assert answer.status_code == 400
        assert "http-equiv" not in answer.text
        link = re.search(r'href="(https://assistant[^"]*)"', answer.text)
        assert link
        told = dict(parse_qsl(urlsplit(unescape(link[1])).query))
        assert (told["error"], told["state"], told["iss"]) == (error, "xyz", SITE)
    assert (await browser.get(f"{asking(client_id)}&state=second")).status_code == 400, "which one would it be?"


async def test_it_takes_who_is_signed_in_and_their_password(
    site: FastAPI, program: AsyncClient, ada: User, database: Database, client_id: str
) -> None:
    answer = await program.get(asking(client_id))
    assert answer.status_code == 303
    login = urlsplit(answer.headers["Location"])
    assert login.path == "/accounts/login"
    assert parse_qs(login.query)["next"] == [asking(client_id)], "and back with the whole request"
    async with signed_in_client(site, ada) as fresh:
        for password in ("", "wrong"):
            answer = await fresh.post(asking(client_id), data=allowing() | {"current_password": password})
            assert (answer.status_code, "refresh" in answer.text) == (422, False)
        denied = sent_to(await fresh.post(asking(client_id), data={"decision": "deny"}))
        assert dict(parse_qsl(urlsplit(denied).query)) == {"error": "access_denied", "state": "xyz", "iss": SITE}
    async with database.reader(fresh=True) as session:
        assert not (await session.scalars(select(McpGrant))).all()


async def test_a_superuser_who_is_signed_in_as_somebody_lets_nothing_in_for_them(
    site: FastAPI, database: Database, client_id: str, ada: User
) -> None:
    root = await make_user(database, is_superuser=True)
    async with signed_in_client(site, root) as own, signed_in_client(site, ada) as disguised:
        async with database.writer() as session:
            mine, theirs = [
                (await session.scalars(select(Session).where(col(Session.user_id) == user.id))).one()
                for user in (root, ada)
            ]
            theirs.impersonator_session_id = mine.id
        assert (await own.get(asking(client_id))).status_code == 200
        assert (await disguised.get(asking(client_id))).status_code == 403
        assert (await disguised.post(asking(client_id), data=allowing())).status_code == 403


@pytest.mark.database("postgresql")
async def test_a_code_that_is_sent_twice_at_once_leaves_nothing(
    program: AsyncClient, browser: AsyncClient, client_id: str, database: Database
) -> None:
    code = await code_for(browser, asking(client_id))
    answers = await asyncio.gather(*(exchange(program, client_id, code) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    async with database.reader(fresh=True) as session:
        assert not (await session.scalars(select(ApiToken))).all()


UNTRUSTED: list[dict[str, Any]] = [
    {"client_id": "nobody"},
    {"client_id": "a\0b"},
    {"client_id": None},
    {"redirect_uri": "https://evil.example/callback"},
    {"redirect_uri": f"{BACK}/more"},
    {"redirect_uri": f"{BACK}?more"},
    {"redirect_uri": "https://assistant.example:444/callback"},
    {"redirect_uri": "javascript:alert(1)"},
    {"redirect_uri": "//evil.example"},
]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"resource": "https://other.example/mcp"}, "invalid_target"),
    ({"scope": "accounts:manage"}, "invalid_scope"),
    ({"scope": "library:read&state=other"}, "invalid_scope"),
]


async def test_codes_and_refresh_tokens_count_once_never_widen_and_used_twice_end_all(
    program: AsyncClient, browser: AsyncClient, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await code_for(browser, asking(client_id))
    granted = (await exchange(program, client_id, code)).json()
    assert await status_of(program, granted["access_token"]) == 200
    again = await exchange(program, client_id, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert await status_of(program, granted["access_token"]) == 401
    assert (await refresh(program, client_id, granted["refresh_token"])).json()["error"] == "invalid_grant"
    assert "Assistant was signed out" in (await browser.get("/accounts/events")).text

    first = await connect(program, browser, client_id, "library:read")
    wide = await refresh(program, client_id, first["refresh_token"], scope="library:read library:write")
    assert wide.json()["error"] == "invalid_scope"
    foreign = await refresh(program, client_id, first["refresh_token"], resource="https://other.example/mcp")
    assert foreign.json()["error"] == "invalid_target"
    second = (await refresh(program, client_id, first["refresh_token"])).json()
    assert second["scope"] == "library:read"
    assert second["refresh_token"] != first["refresh_token"]
    monkeypatch.setattr(jwt_strategy, "RETRY_GRACE", timedelta(0))
    again = await refresh(program, client_id, first["refresh_token"])
    assert again.json()["error"] == "invalid_grant"
    assert await status_of(program, second["access_token"]) == 401
    assert (await refresh(program, client_id, second["refresh_token"])).json()["error"] == "invalid_grant"
    assert "A program was signed out" in (await browser.get("/accounts/events")).text


WORTHLESS: list[tuple[dict[str, Any], str]] = [
    ({"code_verifier": "b" * 50}, "invalid_grant"),
    ({"code_verifier": None}, "invalid_request"),
    ({"redirect_uri": "https://evil.example/callback"}, "invalid_request"),
    ({"redirect_uri": None}, "invalid_request"),
    ({"resource": "https://other.example/mcp"}, "invalid_target"),
    ({"code": "nonsense"}, "invalid_grant"),
    ({"grant_type": "password"}, "invalid_request"),
    ({"client_id": "nobody"}, "invalid_client"),
]


async def test_codes_and_tokens_are_worth_nothing_elsewhere_nor_without_all_that_they_were_given_for(
    program: AsyncClient, browser: AsyncClient, client_id: str, site: FastAPI, database: Database, ada: User
) -> None:
    code = await code_for(browser, asking(client_id))
    for other, error in WORTHLESS:
        answer = await exchange(program, client_id, code, **other)
        assert (answer.status_code, answer.json()["error"]) == (401 if error == "invalid_client" else 400, error)

    other = (await register(program, client_name="Other"))["client_id"]
    code = await code_for(browser, asking(client_id))
    assert (await exchange(program, other, code)).json()["error"] == "invalid_grant"
    granted = (await exchange(program, client_id, code)).json()
    assert (await refresh(program, other, granted["refresh_token"])).json()["error"] == "invalid_grant"
    await program.post("/accounts/oauth/revoke", data={"client_id": other, "token": granted["access_token"]})
    assert await status_of(program, granted["access_token"]) == 200, "what another one tries ends nothing"
    said = {"client_id": client_id, "token": granted["access_token"]}
    assert (await program.post("/accounts/oauth/revoke", data=said)).status_code == 200
    assert await status_of(program, granted["access_token"]) == 401
    assert (await program.post("/accounts/oauth/revoke", data={"token": "x"})).status_code == 401

    first = await connect(program, browser, client_id)
    less = (await refresh(program, client_id, first["refresh_token"], scope="library:read")).json()
    async with mcp_client(site, headers={"Authorization": f"Bearer {less['access_token']}"}) as client:
        assert [each.name for each in (await client.list_tools()).tools] == ["whoami", "crash"]

    granted = await connect(program, browser, client_id)
    for token in (granted["access_token"], granted["refresh_token"]):
        answer = await program.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    assert await status_of(program, granted["refresh_token"]) == 401
    assert await status_of(program, await make_token(database, ada)) == 200, "one that they made themselves is"
    moved = site_of(site, LIBRARY)
    moved.state.settings = moved.state.settings.model_copy(update={"base_url": "http://other.example"})
    async with AsyncClient(transport=ASGITransport(moved), base_url=SITE) as elsewhere:
        assert await status_of(elsewhere, granted["access_token"]) == 401, "it is for another resource"


async def test_a_program_with_a_secret_has_to_know_it(
    program: AsyncClient, browser: AsyncClient, database: Database
) -> None:
    made = await register(program, token_endpoint_auth_method="client_secret_post")
    async with database.reader(fresh=True) as session:
        kept = (await session.scalars(select(McpClient))).one()
    assert made["client_secret"] not in kept.sealed_secret
    code = await code_for(browser, asking(made["client_id"]))
    for secret in (None, "wrong"):
        answer = await exchange(program, made["client_id"], code, client_secret=secret)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    answer = await exchange(program, made["client_id"], code, client_secret=made["client_secret"])
    assert answer.status_code == 200


async def test_it_ends_with_what_ends_the_tokens_of_its_person(
    program: AsyncClient, client_id: str, site: FastAPI, database: Database, ada: User
) -> None:
    for what in ("new password", "signed out everywhere", "deactivated"):
        async with signed_in_client(site, ada) as here:
            granted = await connect(program, here, client_id)
            code = await code_for(here, asking(client_id))
        async with database.writer() as session:
            user = await session.get_one(User, ada.id)
            if what == "signed out everywhere":
                await delete_all_sessions(session, user)
            elif what == "deactivated":
                user.is_active = False
            else:
                user.hashed_password = "another"
        assert await status_of(program, granted["access_token"]) == 401, what
        assert (await refresh(program, client_id, granted["refresh_token"])).status_code == 400, what
        assert (await exchange(program, client_id, code)).json()["error"] == "invalid_grant", what
        async with database.writer() as session:
            await session.execute(update(User).values(hashed_password=ada.hashed_password))


async def test_a_code_is_over_after_two_minutes_and_a_program_that_is_deleted_loses_its_tokens(
    program: AsyncClient, browser: AsyncClient, client_id: str, database: Database
) -> None:
    code = await code_for(browser, asking(client_id))
    async with database.writer() as session:
        await session.execute(update(McpGrant).values(expires_at=utc_now()))
    assert (await exchange(program, client_id, code)).json()["error"] == "invalid_grant"
    await cleanup.delete_expired(database)
    async with database.reader(fresh=True) as session:
        assert not (await session.scalars(select(McpGrant))).all()
        assert (await session.scalars(select(McpClient))).all(), "it was let in: it stays for a while"

    granted = await connect(program, browser, client_id)
    async with database.writer() as session:
        await session.delete((await session.scalars(select(McpClient))).one())
    assert await status_of(program, granted["access_token"]) == 401
    assert (await refresh(program, client_id, granted["refresh_token"])).json()["error"] == "invalid_client"


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"redirect_uris": ["http://evil.example/callback"]}, "invalid_redirect_uri"),
    ({"redirect_uris": [BACK, "javascript:alert(1)"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["ms-msdt:/id", "cursor:alert"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["vscode://file/etc/passwd"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["vscode://vscode.git/clone?url=https://evil.example/x"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["https://user:pass@a.example/"]}, "invalid_redirect_uri"),
    ({"redirect_uris": [f"{BACK}#part"]}, "invalid_redirect_uri"),
    ({"redirect_uris": [f"https://a.example/{'a' * 1000}"]}, "invalid_redirect_uri"),
    ({"redirect_uris": [f"{BACK}{number}" for number in range(11)]}, "invalid_redirect_uri"),
    ({"redirect_uris": []}, "invalid_client_metadata"),
    ({"redirect_uris": None}, "invalid_redirect_uri"),
    ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    ({"client_name": "a" * 30_000}, "invalid_client_metadata"),
]


async def test_the_metadata_names_all_that_a_program_needs_and_one_with_a_bad_address_is_not_registered(
    program: AsyncClient, database: Database
) -> None:
    refused = await program.post("/mcp", json=INITIALIZE, headers=ACCEPT | {"Authorization": "Bearer nonsense"})
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    resource = (await program.get("/.well-known/oauth-protected-resource/mcp")).json()
    assert resource["resource"] == f"{SITE}/mcp"
    assert resource["authorization_servers"] == [SITE]
    assert resource["scopes_supported"] == ["library:read", "library:write"]
    server = (await program.get("/.well-known/oauth-authorization-server")).json()
    assert server["issuer"] == SITE
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert {server[f"{name}_endpoint"] for name in ("authorization", "token", "registration", "revocation")} == {
        f"{SITE}/accounts/oauth/{name}" for name in ("authorize", "token", "register", "revoke")
    }

    for said, error in UNFIT:
        whole = {"client_name": "Assistant", "redirect_uris": [BACK]} | said
        answer = await program.post("/accounts/oauth/register", json=whole)
        assert (answer.status_code, answer.json()["error"]) == (400, error)
    async with database.reader(fresh=True) as session:
        assert not (await session.scalars(select(McpClient))).all()


EDITORS: dict[str, Any] = {
    "Cursor": {
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ],
        "application_type": "web",
    },
    "Visual Studio Code": {
        "redirect_uris": [
            *("https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect"),
            *("http://localhost/", "http://127.0.0.1/", "http://localhost:33418/", "http://127.0.0.1:33418/"),
        ],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "scope": "library:read",
        "client_uri": "https://code.visualstudio.com",
    },
}


async def test_an_editor_registers_as_it_does_and_is_sent_back_to(program: AsyncClient, browser: AsyncClient) -> None:
    for name, said in EDITORS.items():
        made = await register(program, client_name=name, **said)
        back = said["redirect_uris"][0]
        page = await browser.post(asking(made["client_id"], redirect_uri=back), data=allowing())
        assert sent_to(page).startswith(f"{back}?code=")
        denied = await browser.post(asking(made["client_id"], redirect_uri=back), data={"decision": "deny"})
        assert f'href="{back}?error=access_denied' in denied.text
        assert ('http-equiv="refresh"' in denied.text) is back.startswith("https:"), "who says no opens no program"


async def test_who_registers_in_masses_fills_nothing_and_is_stopped(
    program: AsyncClient,
    browser: AsyncClient,
    client_id: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await connect(program, browser, client_id)
    monkeypatch.setattr("opportune.contrib.mcp.oauth.registration.MAX_UNUSED_CLIENTS", 2)
    for number in range(4):
        await register(program, client_name=f"Flood\u202e {number}")
    async with database.reader(fresh=True) as session:
        names = (await session.scalars(select(col(McpClient.name)).order_by(col(McpClient.id)))).all()
    assert names == ["Assistant", "Flood 2", "Flood 3"], "those that nobody uses go, the oldest first"
    monkeypatch.setattr(routes.REGISTRATIONS, "limit", 5)
    assert (await program.post("/accounts/oauth/register", json={})).status_code == 429
    async with database.writer() as session:
        await session.execute(update(McpClient).values(created_at=utc_now() - timedelta(days=2)))
    await cleanup.delete_expired(database)
    async with database.reader(fresh=True) as session:
        assert (await session.scalars(select(col(McpClient.name)))).all() == ["Assistant"]


@pytest.mark.parametrize(
    ("registered", "asked", "found"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:4711/cb", True),  # RFC 8252, 7.3
        ("http://[::1]:1/cb", "http://[::1]:2/cb", True),
        ("http://localhost:1/cb", "http://127.0.0.1:1/cb", False),
        ("http://localhost:1/cb", "http://localhost:1/other", False),
        ("http://localhost:1/cb", "http://localhost.evil.example:1/cb", False),
        ("http://localhost:1/cb", "https://localhost:1/cb", False),
        ("http://127.0.0.1:1/", "http://127.0.0.1:2", True),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback", True),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp:1/oauth/callback", False),
        ("vscode://vscode.example/cb", "cursor://vscode.example/cb", False),
        ("https://a.example", "https://a.example", True),
        ("https://a.example/cb", "https://A.example/cb", True),
        ("https://a.example/cb", "https://a.example/cb/../cb2", False),
        ("https://a.example/cb", "https://a.example@evil.example/cb", False),
        ("https://a.example/cb", "https://a.example\\@evil.example/cb", False),
    ],
)
def test_only_the_port_of_ones_own_computer_does_not_count(registered: str, asked: str, *, found: bool) -> None:
    assert parse_redirect(registered)
    assert (find_redirect([registered], asked) is not None) is found


async def test_what_a_program_was_let_do_is_told_by_mail(
    browser: AsyncClient, client_id: str, database: Database
) -> None:
    await code_for(browser, asking(client_id), "library:read")
    async with database.reader(fresh=True) as session:
        event = (await session.scalars(select(AccountEvent).where(col(AccountEvent.kind) == "program_connected"))).one()
        assert event.details == {"name": "Assistant", "scopes": "library:read"}
        assert not (await session.scalars(select(ApiToken))).all(), "there is a token when the code is exchanged"
