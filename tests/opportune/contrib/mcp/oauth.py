"""Steps of OAuth as a program and a browser take them."""

import base64
import hashlib
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from httpx2 import AsyncClient, Response

from opportune.testing import PASSWORD
from tests.opportune.contrib.mcp.library import ACCEPT, INITIALIZE, SITE

CALLBACK = "https://assistant.example/callback"
VERIFIER = "a" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
OAUTH = "/accounts/oauth"


async def register(program: AsyncClient, **options: Any) -> dict[str, Any]:
    metadata = {"client_name": "Assistant", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"} | options
    response = await program.post(f"{OAUTH}/register", json=metadata)
    assert response.status_code == 201, response.text
    registered: dict[str, Any] = response.json()
    return registered


def authorize_url(client_id: str, /, **changes: str | None) -> str:
    query = {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "state": "xyz",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "resource": f"{SITE}/mcp",
    } | changes
    return f"{OAUTH}/authorize?{urlencode({name: value for name, value in query.items() if value is not None})}"


def consent_form(*scopes: str) -> dict[str, Any]:
    return {"decision": "allow", "scopes": scopes or ("library:read", "library:write"), "current_password": PASSWORD}


def read_redirect(page: Response) -> str:
    match = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', page.text)
    assert match, page.text
    return unescape(match[1])


def parse_query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


async def request_code(browser: AsyncClient, url: str, *scopes: str) -> str:
    return parse_query(read_redirect(await browser.post(url, data=consent_form(*scopes))))["code"]


async def exchange_code(program: AsyncClient, client_id: str, code: str, /, **changes: str | None) -> Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "resource": f"{SITE}/mcp",
    } | changes
    data = {name: value for name, value in form.items() if value is not None}
    return await program.post(f"{OAUTH}/token", data=data)


async def refresh_token(program: AsyncClient, client_id: str, token: str, **options: str) -> Response:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id} | options
    return await program.post(f"{OAUTH}/token", data=form)


async def connect(program: AsyncClient, browser: AsyncClient, client_id: str, *scopes: str) -> dict[str, Any]:
    """Authorize a program and return its tokens."""
    response = await exchange_code(program, client_id, await request_code(browser, authorize_url(client_id), *scopes))
    assert response.status_code == 200, response.text
    tokens: dict[str, Any] = response.json()
    return tokens


async def request_status(program: AsyncClient, token: str) -> int:
    """Return the status of a request to `/mcp` with this token."""
    headers = ACCEPT | {"Authorization": f"Bearer {token}"}
    return (await program.post("/mcp", json=INITIALIZE, headers=headers)).status_code


def read_error(response: Response) -> str:
    return str(response.json()["error"])
