"""Verified identities from OpenID providers and GitHub.

Importing this module takes 0.2 s because of its libraries, so `flow` imports it in a thread at the first sign-in.
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
    InvalidProviderResponse,
    Provider,
    ProviderUnreachable,
)

TIMEOUT_SECONDS = 10
"""Time limit of all requests to a provider during a sign-in."""
MAX_RESPONSE_BYTES = 1_000_000
"""Maximum size of a response; the longest key sets have about ten thousand bytes."""
METADATA_SECONDS = 3600
"""Lifetime of cached discovery documents and keys. A missing key is loaded earlier."""
CLOCK_SKEW_SECONDS = 60
MAX_SUBJECT_CHARS = 255
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Accepted signatures. Only the provider can create them, unlike `none` and algorithms with a shared secret."""
REQUIRED_CLAIMS = ["iss", "sub", "aud", "exp", "iat"]


class ProviderClient(ABC):
    """OAuth client of one provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def authorization_url(self, callback: str, state: str, challenge: str, nonce: str) -> str:
        """Return the address of the provider that the browser is redirected to. Raises as `fetch_identity`."""
        async with _open_http() as http:
            client = await self._get_oauth_client(http)
            return await client.get_authorization_url(callback, state, None, challenge, "S256", self._params(nonce))

    async def fetch_identity(self, code: str, callback: str, verifier: str, nonce: str, issuer: str | None) -> Identity:
        """Return the identity for an authorization code. `issuer` is the parameter `iss` of RFC 9207.

        Raises:
            ProviderUnreachable, InvalidProviderResponse: the provider's response is missing or invalid.
        """
        async with _open_http() as http:
            client = await self._get_oauth_client(http)
            self._check_issuer(issuer)
            token: Mapping[str, Any] = await client.get_access_token(code, callback, verifier)
            return await self._read_identity(http, token, nonce)

    @abstractmethod
    async def _get_oauth_client(self, http: httpx.AsyncClient) -> BaseOAuth2[Any]:
        """Return the client of httpx-oauth."""

    @abstractmethod
    async def _read_identity(self, http: httpx.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        """Return the identity of the user to whom the code was issued."""

    def _check_issuer(self, issuer: str | None) -> None:
        if issuer is not None and not self.provider.accepts_issuer(issuer):
            raise InvalidProviderResponse("the response is from another issuer")

    def _params(self, nonce: str) -> dict[str, Any]:
        return {"nonce": nonce}


class OpenIDClient(ProviderClient):
    """An OpenID Connect provider. Its discovery document is loaded with the first sign-in."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._metadata: Mapping[str, Any] = {}
        self._keys: list[jwt.PyJWK] = []
        self._read_at = -float(METADATA_SECONDS)

    async def _get_oauth_client(self, http: httpx.AsyncClient) -> BaseOAuth2[Any]:
        metadata = await self._discover(http)
        # Providers that do not name a method use the header (OpenID Connect Discovery 1.0, section 3).
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return OAuthClient(
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
            metadata = await _get_json(http, self.provider.discovery_url)
            if metadata["issuer"].rstrip("/") != self.provider.issuer:
                raise InvalidProviderResponse("its discovery document names another issuer")
            issuer_scheme = urlsplit(self.provider.issuer).scheme
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
                address = metadata.get(name, "") if name == "userinfo_endpoint" else metadata[name]
                if address and urlsplit(address).scheme not in ("https", issuer_scheme):
                    raise InvalidProviderResponse(f"its {name} does not use https")
            self._metadata, self._keys, self._read_at = metadata, [], time.monotonic()
        return self._metadata

    def _check_issuer(self, issuer: str | None) -> None:
        super()._check_issuer(issuer)
        if issuer is None and self._metadata.get("authorization_response_iss_parameter_supported") is True:
            raise InvalidProviderResponse("the response has no issuer")

    async def _read_identity(self, http: httpx.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        claims = await self._read_claims(http, token["id_token"], nonce)
        issuer, subject = str(claims["iss"]), claims["sub"]
        if not (isinstance(subject, str) and 0 < len(subject) <= MAX_SUBJECT_CHARS):
            raise InvalidProviderResponse("the subject of the id_token is not a string or is too long")
        if not claims.get("email") and (address := self._metadata.get("userinfo_endpoint")):
            response = await _get_json(http, address, {"Authorization": f"Bearer {token['access_token']}"})
            if response["sub"] != subject:
                raise InvalidProviderResponse("the profile is of another user")
            claims = {**claims, **{name: response.get(name) for name in ("email", "email_verified")}}
        email = _normalise_email(claims.get("email"))
        # Microsoft has its own claim for addresses in a verified domain.
        is_verified = any(str(claims.get(name)).lower() in ("true", "1") for name in ("email_verified", "xms_edov"))
        return Identity(issuer, subject, email, bool(email) and is_verified)

    async def _read_claims(self, http: httpx.AsyncClient, id_token: str, nonce: str) -> Mapping[str, Any]:
        """Return the claims of a token with valid signature, issuer, audience, times and nonce."""
        claims = jwt.decode(
            id_token,
            await self._get_key(http, jwt.get_unverified_header(id_token).get("kid")),
            algorithms=ALGORITHMS,
            audience=self.provider.client_id,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": REQUIRED_CLAIMS},
        )
        if claims["iss"] != self._metadata["issuer"].replace(TENANT, str(claims.get("tid"))):
            raise InvalidProviderResponse("the id_token is from another issuer")
        has_several_audiences = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if has_several_audiences else self.provider.client_id) != self.provider.client_id:
            raise InvalidProviderResponse("the id_token is for another site")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise InvalidProviderResponse("the id_token is of another sign-in")
        return claims

    async def _get_key(self, http: httpx.AsyncClient, key_id: str | None) -> jwt.PyJWK:
        """Return the key with this id, or the only key if the id is None. A missing key reloads the key set."""
        key = self._find_key(key_id)
        if key is None:
            key_set = jwt.PyJWKSet.from_dict(dict(await _get_json(http, self._metadata["jwks_uri"])))
            self._keys = [key for key in key_set.keys if key.public_key_use in (None, "sig")]
            key = self._find_key(key_id)
        if key is None:
            raise InvalidProviderResponse("the provider has no key for the id_token")
        return key

    def _find_key(self, key_id: str | None) -> jwt.PyJWK | None:
        matches = [key for key in self._keys if key_id is None or key.key_id == key_id]
        return matches[0] if len(matches) == 1 else None


class GitHubClient(ProviderClient):
    """GitHub. It does not support OpenID Connect, so the user is read from its API."""

    async def _get_oauth_client(self, http: httpx.AsyncClient) -> BaseOAuth2[Any]:
        return GitHubOAuthClient(self.provider.client_id, self.provider.client_secret, ["user:email"])

    async def _read_identity(self, http: httpx.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        user_id = (await _get_json(http, github.PROFILE_ENDPOINT, headers))["id"]
        if not isinstance(user_id, int):
            raise InvalidProviderResponse("the profile has no numeric id")
        addresses = await _get_json(http, github.EMAILS_ENDPOINT, headers)
        primary = (row["email"] for row in addresses if row["primary"] and row["verified"])
        email = _normalise_email(next(primary, None))
        return Identity(GITHUB_ISSUER, str(user_id), email, email_is_verified=email != "")

    def _params(self, nonce: str) -> dict[str, Any]:
        return {}


class OAuthClient(BaseOAuth2[dict[str, Any]]):
    """The client of httpx-oauth with this module's HTTP client, which limits responses and follows no redirects."""

    def get_httpx_client(self) -> httpx.AsyncClient:
        return _create_http_client()


class GitHubOAuthClient(github.GitHubOAuth2):
    def get_httpx_client(self) -> httpx.AsyncClient:
        return _create_http_client()


@lru_cache(maxsize=8)
def get_client(provider: Provider) -> ProviderClient:
    """Return the client of a provider. It is created once, because it caches documents and keys."""
    _certificates()
    return GitHubClient(provider) if provider.issuer == GITHUB_ISSUER else OpenIDClient(provider)


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # cached, because it takes up to 80 ms


def _create_http_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=_certificates(),
        timeout=TIMEOUT_SECONDS,
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},  # a compressed response can have any size after decompression
        event_hooks={"response": [_limit_response]},
    )


async def _limit_response(response: httpx.Response) -> None:
    """Limit the size of a response, independent of its Content-Length."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("the response is compressed, although the request does not accept that")
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = LimitedStream(response.stream)


class LimitedStream(httpx.AsyncByteStream):
    """Body of a response. Raises ReadError after `MAX_RESPONSE_BYTES`."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for chunk in self.stream:
            length += len(chunk)
            if length > MAX_RESPONSE_BYTES:
                raise httpx.ReadError("the response is too long")
            yield chunk

    async def aclose(self) -> None:
        await self.stream.aclose()


@asynccontextmanager
async def _open_http() -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client with one time limit for all requests of a step.

    Raises:
        ProviderUnreachable, InvalidProviderResponse: for every error in the block.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), _create_http_client() as http:
            yield http
    except GetAccessTokenError as error:
        if error.response is not None and error.response.is_client_error:
            raise InvalidProviderResponse("the provider refuses the code") from error
        raise ProviderUnreachable(str(error)) from error
    except (HTTPXOAuthError, httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
        raise ProviderUnreachable(f"{type(error).__name__}: {error}") from error
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # These errors occur if the provider sends other data than the expected JSON.
        raise InvalidProviderResponse(f"{type(error).__name__}: {error}") from error


async def _get_json(http: httpx.AsyncClient, url: str, headers: Mapping[str, str] | None = None) -> Any:
    response = await http.get(url, headers={"Accept": "application/json", **(headers or {})})
    return response.raise_for_status().json()


def _normalise_email(value: object) -> str:
    """Return a valid e-mail in lower case; empty if it is invalid."""
    try:
        return EMAIL_ADAPTER.validate_python(value)
    except ValidationError:
        return ""
