"""A fake OpenID Connect provider, also with GitHub's API, that can falsify its responses."""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse, StreamingResponse

from opportune.testing.services.browser import serve

CLIENT_ID, CLIENT_SECRET = "the-site", "a client secret"
KEY, FOREIGN_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
KEY_ID = "key-1"
Claims = dict[str, Any]


@dataclass
class FakeProvider:
    """Provider that signs in the account `user`. `false_claims` changes claims of the id_token; `forge` encodes it."""

    url: str = ""
    user: Claims = field(default_factory=lambda: {"sub": "1", "email": "ada@example.com", "email_verified": True})
    false_claims: Claims = field(default_factory=dict)
    forge: Callable[[Claims], str] | None = None
    metadata: Claims = field(default_factory=dict)
    emails: list[Claims] = field(default_factory=list)
    response: Claims = field(default_factory=dict)
    """Parameters of the redirect, added to or instead of the code."""
    delay: asyncio.Event | None = None
    """The token endpoint waits for this event."""
    sends_endless_bytes: bool = False
    """The token endpoint sends bytes forever."""
    requests: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def approve(self, authorization_url: str) -> str:
        """Return the redirect of the provider after the user's consent."""
        authorization = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        assert (authorization["client_id"], authorization["response_type"]) == (CLIENT_ID, "code")
        assert (authorization["code_challenge_method"], len(authorization["code_challenge"])) == ("S256", 43)
        code = secrets.token_urlsafe(8)
        self.codes[code] = authorization
        response = {"code": code, "state": authorization["state"], **self.response}
        return f"{authorization['redirect_uri']}?{urlencode({name: text for name, text in response.items() if text})}"

    def id_token(self, authorization: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": authorization.get("nonce"),
            **self.user,
            **self.false_claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.forge(claims) if self.forge else sign_claims(claims)


def sign_claims(claims: Claims, key: ec.EllipticCurvePrivateKey = KEY, key_id: str | None = KEY_ID) -> str:
    return jwt.encode(claims, key, "ES256", {"kid": key_id} if key_id else None)


@asynccontextmanager
async def run_provider() -> AsyncIterator[FakeProvider]:
    provider = FakeProvider()
    async with serve(_app(provider)) as provider.url:
        yield provider


async def send_endless_bytes() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.02)


def _app(provider: FakeProvider) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/.well-known/openid-configuration")
    @app.get("/common/.well-known/openid-configuration")
    async def metadata() -> Claims:
        provider.requests.append("metadata")
        return {
            "issuer": provider.url,
            "authorization_endpoint": f"{provider.url}/authorize",
            "token_endpoint": f"{provider.url}/token",
            "jwks_uri": f"{provider.url}/keys",
            "userinfo_endpoint": f"{provider.url}/me",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            **provider.metadata,
        }

    @app.get("/authorize")
    async def authorize(request: Request) -> RedirectResponse:
        return RedirectResponse(provider.approve(str(request.url)), 303)

    @app.get("/keys")
    async def keys() -> Claims:
        provider.requests.append("keys")
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key()))
        return {"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "ES256"}]}

    @app.post("/token", response_model=None)
    async def token(request: Request) -> Claims | StreamingResponse:
        provider.requests.append("token")
        if provider.sends_endless_bytes:
            return StreamingResponse(send_endless_bytes())
        form = dict(await request.form())
        authorization = provider.codes.pop(str(form["code"]), None)
        if provider.delay:
            await provider.delay.wait()
        verifier = str(form.get("code_verifier", "")).encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if (
            authorization is None
            or authorization["code_challenge"] != challenge
            or authorization["redirect_uri"] != form["redirect_uri"]
            or (form["client_id"], form["client_secret"]) != (CLIENT_ID, CLIENT_SECRET)
        ):
            raise HTTPException(400, "invalid_grant")
        return {"access_token": "access", "token_type": "bearer", "id_token": provider.id_token(authorization)}

    @app.get("/me")
    async def me() -> Claims:
        return provider.user

    _add_github(app, provider)
    return app


def _add_github(app: FastAPI, provider: FakeProvider) -> None:
    @app.get("/user")
    async def github_user() -> Claims:
        return {"id": 583231, "login": "octocat", "email": "shown@example.com"}

    @app.get("/user/emails")
    async def github_emails() -> list[Claims]:
        return provider.emails
