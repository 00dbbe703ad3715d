"""What a provider may not say."""

import asyncio
import base64
import json
import socket

import httpx
import jwt
import pytest

from opportune.accounts.sign_in_methods.providers import Identity, Provider, ProviderNotBelieved, ProviderUnreachable
from opportune.accounts.social_sign_in import identity
from opportune.accounts.social_sign_in.identity import Client, client_of
from tests.opportune.accounts.social_sign_in.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    FOREIGN_KEY,
    Claims,
    FakeProvider,
    signed,
)

CALLBACK = "http://testserver/accounts/social/oidc/callback"
VERIFIER = "v" * 43
CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"


def client(provider: FakeProvider, issuer: str = "") -> Client:
    client_of.cache_clear()
    return client_of(Provider("oidc", "Keycloak", issuer or provider.url, CLIENT_ID, CLIENT_SECRET))


async def arrive(
    provider: FakeProvider,
    verifier: str = VERIFIER,
    nonce: str = "n",
    answered_by: str | None = None,
    issuer: str = "",
) -> Identity:
    ours = client(provider, issuer)
    address = await ours.authorization_url(CALLBACK, "state", CHALLENGE, "n")
    code = provider.come(address).partition("code=")[2].partition("&")[0]
    return await ours.identity(code, CALLBACK, verifier, nonce, answered_by)


def unsigned(claims: Claims) -> str:
    return jwt.encode(claims, "", "none")


def signed_by_what_both_know(claims: Claims) -> str:
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        return jwt.encode(claims, CLIENT_SECRET, "HS256", {"kid": "key-1"})


def signed_by_another(claims: Claims) -> str:
    return signed(claims, FOREIGN_KEY)


def signed_by_an_unknown_key(claims: Claims) -> str:
    return signed(claims, FOREIGN_KEY, "key-2")


def changed_after_signing(claims: Claims) -> str:
    head, _, signature = signed(claims).split(".")
    payload = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "2"}).encode()).rstrip(b"=").decode()
    return f"{head}.{payload}.{signature}"


def no_token(_claims: Claims) -> str:
    return "no.token"


async def test_what_is_right_is_believed(provider: FakeProvider) -> None:
    expected = Identity(provider.url, "1", "ada@example.com", email_is_verified=True)
    assert await arrive(provider) == expected
    assert await arrive(provider, answered_by=provider.url) == expected


async def test_an_id_token_that_the_provider_has_not_signed_is_not_believed(provider: FakeProvider) -> None:
    for forge in [
        unsigned,
        signed_by_what_both_know,
        signed_by_another,
        signed_by_an_unknown_key,
        changed_after_signing,
        no_token,
    ]:
        provider.forge = forge
        with pytest.raises(ProviderNotBelieved):
            await arrive(provider)


async def test_an_id_token_of_somewhere_else_is_not_believed(provider: FakeProvider) -> None:
    lies: list[Claims] = [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-site"},
        {"aud": [CLIENT_ID, "another-site"]},
        {"aud": [CLIENT_ID, "another-site"], "azp": "another-site"},
        {"aud": None},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        {"nbf": 4_000_000_000},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
    ]
    for lie in lies:
        provider.lie = lie
        with pytest.raises(ProviderNotBelieved):
            await arrive(provider)


async def test_only_who_has_begun_can_end_it(provider: FakeProvider) -> None:
    with pytest.raises(ProviderNotBelieved, match="refuses the code"):
        await arrive(provider, verifier="another" * 7)
    with pytest.raises(ProviderNotBelieved, match="another sign-in"):
        await arrive(provider, nonce="another")


async def test_an_answer_names_the_provider_that_was_asked(provider: FakeProvider) -> None:
    with pytest.raises(ProviderNotBelieved, match="another issuer"):
        await arrive(provider, answered_by="https://evil.example")
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(ProviderNotBelieved, match="no issuer"):
        await arrive(provider)
    assert "token" not in provider.asked


async def test_a_discovery_document_that_is_wrong_is_not_believed(provider: FakeProvider) -> None:
    documents: list[Claims] = [
        {"issuer": "https://evil.example"},
        {"issuer": 1},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ]
    for metadata in documents:
        provider.metadata = metadata
        with pytest.raises(ProviderNotBelieved):
            await arrive(provider)


async def test_a_provider_says_nothing_of_the_accounts_of_another(provider: FakeProvider) -> None:
    provider.metadata = provider.lie = {"iss": "https://accounts.google.com", "issuer": "https://accounts.google.com"}
    with pytest.raises(ProviderNotBelieved, match="discovery document names another issuer"):
        await arrive(provider)


async def test_the_tenant_of_a_microsoft_account_is_part_of_its_issuer(provider: FakeProvider) -> None:
    issuer = f"{provider.url}/{{tenantid}}"
    provider.metadata = {"issuer": issuer}
    provider.person = {"sub": "1", "email": "ada@example.com"}
    provider.lie = {"tid": "t1", "iss": f"{provider.url}/t1", "xms_edov": "1"}
    expected = Identity(f"{provider.url}/t1", "1", "ada@example.com", email_is_verified=True)
    assert await arrive(provider, issuer=issuer) == expected
    provider.lie = {"tid": "t1", "iss": f"{provider.url}/t1"}
    assert not (await arrive(provider, issuer=issuer)).email_is_verified
    provider.lie = {"tid": "t2", "iss": f"{provider.url}/t1"}
    with pytest.raises(ProviderNotBelieved, match="another issuer"):
        await arrive(provider, issuer=issuer)


async def test_a_provider_that_is_down_or_slow_is_given_up(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # nobody listens there
        taken.bind(("127.0.0.1", 0))
        down = client(provider, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ProviderUnreachable):
            await down.authorization_url(CALLBACK, "state", CHALLENGE, "n")
    monkeypatch.setattr(identity, "TIMEOUT_SECONDS", 0.2)
    provider.waits = asyncio.Event()
    with pytest.raises(ProviderUnreachable):
        await arrive(provider)
    provider.waits.set()
    provider.drips = True
    with pytest.raises(ProviderUnreachable, match="TimeoutError"):
        await arrive(provider)


async def test_an_answer_without_end_or_that_is_packed_fills_no_memory(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(httpx.DecodingError):
        await identity._bound(httpx.Response(200, headers={"Content-Encoding": "gzip"}))
    monkeypatch.setattr(identity, "MAX_ANSWER_BYTES", 100)
    with pytest.raises(ProviderUnreachable, match="the answer is too long"):
        await arrive(provider)


async def test_what_a_provider_has_once_told_is_not_asked_again_until_a_key_is_new(provider: FakeProvider) -> None:
    ours = client(provider)
    for _ in range(2):
        address = await ours.authorization_url(CALLBACK, "state", CHALLENGE, "n")
        code = provider.come(address).partition("code=")[2].partition("&")[0]
        await ours.identity(code, CALLBACK, VERIFIER, "n", None)
    assert provider.asked == ["metadata", "token", "keys", "token"]
