"""Verification of a provider's responses."""

import asyncio
import base64
import gzip
import json
import socket
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import pytest

from opportune.accounts.sign_in_methods import provider_clients, providers
from opportune.accounts.sign_in_methods.provider_clients import ProviderClient, get_client
from opportune.accounts.sign_in_methods.providers import Identity, InvalidProviderResponse, ProviderUnreachable
from opportune.services.clock import clock
from tests.opportune.accounts.social_sign_in import provider as oidc
from tests.opportune.accounts.social_sign_in.provider import Claims, FakeProvider

CALLBACK_URL = "http://testserver/accounts/social/oidc/callback"
VERIFIER = "v" * 43
GOOGLE_ISSUER = "https://accounts.google.com"
CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"


def make_client(provider: FakeProvider, issuer: str = "") -> ProviderClient:
    get_client.cache_clear()
    keycloak = providers.Provider("oidc", "Keycloak", issuer or provider.url, oidc.CLIENT_ID, oidc.CLIENT_SECRET)
    return get_client(keycloak)


async def request_identity(provider: FakeProvider, issuer: str = "", **response: str) -> Identity:
    """Sign in. A response may have another verifier, nonce or issuer than the request."""
    return await fetch_identity(provider, make_client(provider, issuer), **response)


async def fetch_identity(
    provider: FakeProvider, client: ProviderClient, verifier: str = VERIFIER, nonce: str = "n", iss: str | None = None
) -> Identity:
    address = await client.authorization_url(CALLBACK_URL, "state", CHALLENGE, "n")
    code = provider.approve(address).partition("code=")[2].partition("&")[0]
    return await client.fetch_identity(code, CALLBACK_URL, verifier, nonce, iss)


def sign_with_client_secret(claims: Claims) -> str:
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        return jwt.encode(claims, oidc.CLIENT_SECRET, "HS256", {"kid": "key-1"})


def change_after_signing(claims: Claims) -> str:
    head, _, signature = oidc.sign_claims(claims).split(".")
    payload = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "2"}).encode()).rstrip(b"=").decode()
    return f"{head}.{payload}.{signature}"


FORGERIES: dict[str, Callable[[Claims], str]] = {
    "unsigned": lambda claims: jwt.encode(claims, "", "none"),
    "client secret": sign_with_client_secret,
    "foreign key": lambda claims: oidc.sign_claims(claims, oidc.FOREIGN_KEY),
    "unknown key id": lambda claims: oidc.sign_claims(claims, oidc.FOREIGN_KEY, "key-2"),
    "changed": change_after_signing,
    "malformed": lambda _claims: "no.token",
}


async def test_valid_response_is_accepted(provider: FakeProvider) -> None:
    expected = Identity(provider.url, "1", "ada@example.com", email_is_verified=True)
    assert await request_identity(provider) == expected
    assert await request_identity(provider, iss=provider.url) == expected


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_forged_id_token_is_refused(provider: FakeProvider, forgery: str) -> None:
    provider.forge = FORGERIES[forgery]
    with pytest.raises(InvalidProviderResponse):
        await request_identity(provider)


async def test_foreign_id_token_is_refused(provider: FakeProvider) -> None:
    shared = [oidc.CLIENT_ID, "another-site"]
    values: dict[str, tuple[Any, ...]] = (
        {"iss": ("https://evil.example", None), "aud": ("another-site", shared, None)}
        | {"nonce": ("of another sign-in", None), "exp": (1, None, "soon"), "iat": (None,), "nbf": (4_000_000_000,)}
        | {"sub": (None, "", "x" * 256)}
    )
    false_claims: list[Claims] = [{name: value} for name in values for value in values[name]]
    for claims in (*false_claims, {"aud": shared, "azp": "another-site"}):
        provider.false_claims = claims
        with pytest.raises(InvalidProviderResponse):
            await request_identity(provider)


async def test_id_token_is_compared_with_shared_clock(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 4_000_000_000)
    with pytest.raises(InvalidProviderResponse, match="has expired"):
        await request_identity(provider)
    provider.false_claims = {"iat": 4_000_000_000, "exp": 4_000_000_300}
    assert await request_identity(provider)


async def test_state_belongs_to_the_browser(provider: FakeProvider) -> None:
    with pytest.raises(InvalidProviderResponse, match="refuses the code"):
        await request_identity(provider, verifier="another" * 7)
    with pytest.raises(InvalidProviderResponse, match="another sign-in"):
        await request_identity(provider, nonce="another")


async def test_response_names_its_issuer(provider: FakeProvider) -> None:
    with pytest.raises(InvalidProviderResponse, match="another issuer"):
        await request_identity(provider, iss="https://evil.example")
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(InvalidProviderResponse, match="no issuer"):
        await request_identity(provider)
    assert "token" not in provider.requests


async def test_invalid_discovery_document_is_refused(provider: FakeProvider) -> None:
    documents: list[Claims] = [
        {"issuer": "https://evil.example"},
        {"issuer": 1},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ]
    for metadata in documents:
        provider.metadata = metadata
        with pytest.raises(InvalidProviderResponse):
            await request_identity(provider)


async def test_provider_cannot_assert_other_issuers(provider: FakeProvider) -> None:
    provider.metadata, provider.false_claims = {"issuer": GOOGLE_ISSUER}, {"iss": GOOGLE_ISSUER}
    with pytest.raises(InvalidProviderResponse, match="discovery document names another issuer"):
        await request_identity(provider)


async def test_microsoft_issuer_contains_the_tenant(provider: FakeProvider) -> None:
    issuer = f"{provider.url}/{{tenantid}}"
    provider.metadata = {"issuer": issuer}
    provider.user = {"sub": "1", "email": "ada@example.com"}
    provider.false_claims = {"tid": "t1", "iss": f"{provider.url}/t1", "xms_edov": "1"}
    expected = Identity(f"{provider.url}/t1", "1", "ada@example.com", email_is_verified=True)
    assert await request_identity(provider, issuer=issuer) == expected
    provider.false_claims = {"tid": "t1", "iss": f"{provider.url}/t1"}
    assert not (await request_identity(provider, issuer=issuer)).email_is_verified
    provider.false_claims = {"tid": "t2", "iss": f"{provider.url}/t1"}
    with pytest.raises(InvalidProviderResponse, match="another issuer"):
        await request_identity(provider, issuer=issuer)


async def test_slow_or_failing_provider_is_given_up(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as idle_socket:  # no server listens there
        idle_socket.bind(("127.0.0.1", 0))
        unreachable = make_client(provider, f"http://127.0.0.1:{idle_socket.getsockname()[1]}")
        with pytest.raises(ProviderUnreachable):
            await unreachable.authorization_url(CALLBACK_URL, "state", CHALLENGE, "n")
    monkeypatch.setattr(provider_clients, "TIMEOUT_SECONDS", 0.2)
    provider.delay = asyncio.Event()
    with pytest.raises(ProviderUnreachable):
        await request_identity(provider)
    provider.delay.set()
    provider.sends_endless_bytes = True
    with pytest.raises(ProviderUnreachable, match="TimeoutError"):
        await request_identity(provider)


async def test_endless_or_packed_response_is_refused(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = httpx2.ByteStream(gzip.compress(b"{}"))
    compressed = httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: compressed)) as http:
        with pytest.raises(ValueError, match="decode"):
            await provider_clients._request_json(http, "GET", "https://provider.example")
    monkeypatch.setattr(provider_clients, "MAX_RESPONSE_BYTES", 100)
    with pytest.raises(ProviderUnreachable, match="the response is too long"):
        await request_identity(provider)


async def test_metadata_is_cached_until_a_key_is_missing(provider: FakeProvider) -> None:
    client = make_client(provider)
    for _ in range(2):
        await fetch_identity(provider, client)
    assert provider.requests == ["metadata", "token", "keys", "token"]
