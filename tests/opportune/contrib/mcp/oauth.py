"""Steps of OAuth as a program and a browser take them."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from httpx2 import AsyncClient, Response

from opportune.testing import PASSWORD
from tests.opportune.accounts.social_sign_in.conftest import refresh_url
from tests.opportune.contrib.mcp.library import ACCEPT, INITIALIZE, SITE

CALLBACK = "https://assistant.example/callback"
VERIFIER = "a" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
OAUTH = "/accounts/oauth"
DENIAL = {"decision": "deny"}


async def register(http: AsyncClient, **options: Any) -> dict[str, Any]:
    metadata = {"client_name": "Assistant", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"} | options
    response = await http.post(f"{OAUTH}/register", json=metadata)
    assert response.status_code == 201, response.text
    registered: dict[str, Any] = response.json()
    return registered


def consent_form(*scopes: str) -> dict[str, Any]:
    return {"decision": "allow", "scopes": scopes or ("library:read", "library:write"), "current_password": PASSWORD}


def without_none(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


@dataclass
class Program:
    """A registered program, with the browser of its user."""

    http: AsyncClient
    browser: AsyncClient
    client_id: str

    def url(self, **changes: str | None) -> str:
        query: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "state": "xyz",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": f"{SITE}/mcp",
        }
        return f"{OAUTH}/authorize?{urlencode(without_none(query | changes))}"

    async def consent(self, form: dict[str, Any] | None = None, **changes: str | None) -> Response:
        return await self.browser.post(self.url(**changes), data=form or consent_form())

    async def request_code(self, *scopes: str) -> str:
        return parse_query(refresh_url(await self.consent(consent_form(*scopes))))["code"]

    async def exchange(self, code: str, **changes: str | None) -> Response:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            "resource": f"{SITE}/mcp",
        }
        return await self.http.post(f"{OAUTH}/token", data=without_none(form | changes))

    async def refresh(self, token: str, **options: str) -> Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.client_id} | options
        return await self.http.post(f"{OAUTH}/token", data=form)

    async def revoke(self, token: str, **options: str) -> Response:
        return await self.http.post(f"{OAUTH}/revoke", data={"client_id": self.client_id, "token": token} | options)

    async def connect(self, *scopes: str) -> tuple[str, str]:
        return read_tokens(await self.exchange(await self.request_code(*scopes)))

    async def status(self, token: str) -> int:
        return await request_status(self.http, token)


async def request_status(http: AsyncClient, token: str) -> int:
    headers = ACCEPT | {"Authorization": f"Bearer {token}"}
    return (await http.post("/mcp", json=INITIALIZE, headers=headers)).status_code


def read_tokens(response: Response) -> tuple[str, str]:
    tokens = response.json()
    assert response.status_code == 200, response.text
    return tokens["access_token"], tokens["refresh_token"]


def parse_query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def read_error(response: Response) -> str:
    return str(response.json()["error"])
