"""The identity that a provider asserts, after verification of its response.

Importing this module takes 0.2 s, with the clients and cryptography: `flow` imports it in a thread, for the first
sign-in.
"""

import asyncio
import hmac
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
from httpx_oauth.clients import github
from httpx_oauth.exceptions import HTTPXOAuthError
from httpx_oauth.oauth2 import BaseOAuth2, GetAccessTokenError
from pydantic import ValidationError

from opportune.accounts.schemas import EMAIL_ADAPTER
from opportune.accounts.sign_in_methods.providers import (
    GITHUB_ISSUER,
    TENANT,
    Identity,
    Provider,
    ProviderNotBelieved,
    ProviderUnreachable,
)

TIMEOUT_SECONDS = 10
"""Time limit of all requests to a provider during a sign-in."""
MAX_ANSWER_BYTES = 1_000_000
"""Maximum size of a response; the longest key sets have about ten thousand bytes."""
METADATA_SECONDS = 3600
"""Discovery documents and keys are cached for this time, unless a key is missing."""
CLOCK_SKEW_SECONDS = 60
MAX_SUBJECT_CHARS = 255
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that only the provider can create: neither `none` nor those with a shared secret."""
REQUIRED_CLAIMS = ["iss", "sub", "aud", "exp", "iat"]


class Client(ABC):
    """Client of one provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def authorization_url(self, callback: str, state: str, challenge: str, nonce: str) -> str:
        """Return the authorization address. Raises as `identity`."""
        async with _conversation() as http:
            client = await self._oauth(http)
            return await client.get_authorization_url(callback, state, None, challenge, "S256", self._extras(nonce))

    async def identity(self, code: str, callback: str, verifier: str, nonce: str, answered_by: str | None) -> Identity:
        """Return the identity for an authorization code; `answered_by` is the issuer of the response (RFC 9207).

        Raises:
            ProviderUnreachable, ProviderNotBelieved: the provider's response is missing or invalid.
        """
        async with _conversation() as http:
            client = await self._oauth(http)
            self._check_issuer(answered_by)
            token: Mapping[str, Any] = await client.get_access_token(code, callback, verifier)
            return await self._read(http, token, nonce)

    @abstractmethod
    async def _oauth(self, http: httpx.AsyncClient) -> BaseOAuth2[Any]:
        """Return the client of httpx-oauth."""

    @abstractmethod
    async def _read(self, http: httpx.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        """Return the identity of the user to whom the code was issued."""

    def _check_issuer(self, answered_by: str | None) -> None:
        if answered_by is not None and not self.provider.vouches_by(answered_by):
            raise ProviderNotBelieved("the answer names another issuer")

    def _extras(self, nonce: str) -> dict[str, Any]:
        return {"nonce": nonce}


class OpenIDClient(Client):
    """An OpenID Connect provider. Its discovery document is loaded with the first sign-in."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._metadata: Mapping[str, Any] = {}
        self._keys: list[jwt.PyJWK] = []
        self._read_at = -float(METADATA_SECONDS)

    async def _oauth(self, http: httpx.AsyncClient) -> BaseOAuth2[Any]:
        metadata = await self._discover(http)
        # The default is the header (OpenID Connect Discovery 1.0, section 3).
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return BoundedClient(
            self.provider.client_id,
            self.provider.client_secret,
            metadata["authorization_endpoint"],
            metadata["token_endpoint"],
            base_scopes=["openid", "email"],
            token_endpoint_auth_method="client_secret_post"
            if "client_secret_post" in methods
            else "client_secret_basic",
        )

    async def _discover(self, http: httpx.AsyncClient) -> Mapping[str, Any]:
        if time.monotonic() - self._read_at >= METADATA_SECONDS:
            metadata = await _get(http, self.provider.discovery_url)
            if metadata["issuer"].rstrip("/") != self.provider.issuer:
                raise ProviderNotBelieved("its discovery document names another issuer")
            ours = urlsplit(self.provider.issuer).scheme
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
                address = metadata.get(name, "") if name == "userinfo_endpoint" else metadata[name]
                if address and urlsplit(address).scheme not in ("https", ours):
                    raise ProviderNotBelieved(f"its {name} is not reached by https")
            self._metadata, self._keys, self._read_at = metadata, [], time.monotonic()
        return self._metadata

    def _check_issuer(self, answered_by: str | None) -> None:
        super()._check_issuer(answered_by)
        if answered_by is None and self._metadata.get("authorization_response_iss_parameter_supported") is True:
            raise ProviderNotBelieved("the answer names no issuer")

    async def _read(self, http: httpx.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        claims = await self._claims(http, token["id_token"], nonce)
        issuer, subject = str(claims["iss"]), claims["sub"]
        if not (isinstance(subject, str) and 0 < len(subject) <= MAX_SUBJECT_CHARS):
            raise ProviderNotBelieved("the id_token's subject is no text, or too long")
        if not claims.get("email") and (address := self._metadata.get("userinfo_endpoint")):
            response = await _get(http, address, {"Authorization": f"Bearer {token['access_token']}"})
            if response["sub"] != subject:
                raise ProviderNotBelieved("the profile is somebody else's")
            claims = {**claims, **{name: response.get(name) for name in ("email", "email_verified")}}
        email = _email(claims.get("email"))
        # Microsoft has its own claim for addresses in a verified domain.
        verified = any(str(claims.get(name)).lower() in ("true", "1") for name in ("email_verified", "xms_edov"))
        return Identity(issuer, subject, email, bool(email) and verified)

    async def _claims(self, http: httpx.AsyncClient, id_token: str, nonce: str) -> Mapping[str, Any]:
        """Return the claims of a token with valid signature, issuer, audience, times and nonce."""
        claims = jwt.decode(
            id_token,
            await self._key(http, jwt.get_unverified_header(id_token).get("kid")),
            algorithms=ALGORITHMS,
            audience=self.provider.client_id,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": REQUIRED_CLAIMS},
        )
        if claims["iss"] != self._metadata["issuer"].replace(TENANT, str(claims.get("tid"))):
            raise ProviderNotBelieved("the id_token is another issuer's")
        has_audiences = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if has_audiences else self.provider.client_id) != self.provider.client_id:
            raise ProviderNotBelieved("the id_token is for another site")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise ProviderNotBelieved("the id_token is of another sign-in")
        return claims

    async def _key(self, http: httpx.AsyncClient, number: str | None) -> jwt.PyJWK:
        """Return the key with this id, or the only key. A missing key reloads the key set."""
        key = self._find_key(number)
        if key is None:
            found = jwt.PyJWKSet.from_dict(dict(await _get(http, self._metadata["jwks_uri"])))
            self._keys = [key for key in found.keys if key.public_key_use in (None, "sig")]
            key = self._find_key(number)
        if key is None:
            raise ProviderNotBelieved("the id_token's key is not among the provider's")
        return key

    def _find_key(self, number: str | None) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys if number is None or key.key_id == number]
        return fitting[0] if len(fitting) == 1 else None


class GitHubClient(Client):
    """GitHub, which has no OpenID Connect: its API returns the user of the code."""

    async def _oauth(self, http: httpx.AsyncClient) -> BaseOAuth2[Any]:
        return BoundedGitHub(self.provider.client_id, self.provider.client_secret, ["user:email"])

    async def _read(self, http: httpx.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        number = (await _get(http, github.PROFILE_ENDPOINT, headers))["id"]
        if not isinstance(number, int):
            raise ProviderNotBelieved("the profile has no number")
        addresses = await _get(http, github.EMAILS_ENDPOINT, headers)
        email = next((each["email"] for each in addresses if each["primary"] and each["verified"]), None)
        return Identity(GITHUB_ISSUER, str(number), _email(email), email_is_verified=_email(email) != "")

    def _extras(self, nonce: str) -> dict[str, Any]:
        return {}


class BoundedClient(BaseOAuth2[dict[str, Any]]):
    """Return httpx-oauth's HTTP client, without redirects, and with certificates that are loaded once."""

    def get_httpx_client(self) -> httpx.AsyncClient:
        return _http()


class BoundedGitHub(github.GitHubOAuth2):
    def get_httpx_client(self) -> httpx.AsyncClient:
        return _http()


@lru_cache(maxsize=8)
def client_of(provider: Provider) -> Client:
    """Return the client of a provider, with its cached documents."""
    _certificates()
    return GitHubClient(provider) if provider.issuer == GITHUB_ISSUER else OpenIDClient(provider)


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # takes up to 80 ms


def _http() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=_certificates(),
        timeout=TIMEOUT_SECONDS,
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},  # a compressed response can unpack to any size
        event_hooks={"response": [_bound]},
    )


async def _bound(response: httpx.Response) -> None:
    """Limit the size of a response, independent of its Content-Length."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("the answer is packed, which nobody has asked for")
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = BoundedStream(response.stream)


class BoundedStream(httpx.AsyncByteStream):
    """Return the body of a response up to `MAX_ANSWER_BYTES`."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for chunk in self.stream:
            length += len(chunk)
            if length > MAX_ANSWER_BYTES:
                raise httpx.ReadError("the answer is too long")
            yield chunk

    async def aclose(self) -> None:
        await self.stream.aclose()


@asynccontextmanager
async def _conversation() -> AsyncIterator[httpx.AsyncClient]:
    """Share a time limit between requests, and raise one of two exceptions for any failure."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), _http() as http:
            yield http
    except GetAccessTokenError as error:
        if error.response is not None and error.response.is_client_error:
            raise ProviderNotBelieved("it refuses the code") from error
        raise ProviderUnreachable(str(error)) from error
    except (HTTPXOAuthError, httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
        raise ProviderUnreachable(f"{type(error).__name__}: {error}") from error
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # The provider may send any data instead of the expected JSON.
        raise ProviderNotBelieved(f"{type(error).__name__}: {error}") from error


async def _get(http: httpx.AsyncClient, url: str, headers: Mapping[str, str] | None = None) -> Any:
    """Return the JSON of an address."""
    response = await http.get(url, headers={"Accept": "application/json", **(headers or {})})
    return response.raise_for_status().json()


def _email(value: object) -> str:
    """Return a normalised address; empty if it is invalid."""
    try:
        return EMAIL_ADAPTER.validate_python(value)
    except ValidationError:
        return ""
