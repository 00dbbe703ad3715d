"""Verified identities from OpenID providers and GitHub.

Its libraries are slow to import, so `flow` imports it in a thread at the first sign-in.
"""

import asyncio
import hmac
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import jwt
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
from opportune.services.clock import clock
from opportune.web.remote_responses import read_body, tls_context

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
REQUIRED_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
REQUIRED_CLAIMS = ["iss", "sub", "aud", "exp", "iat"]
GITHUB_USER_URL = "https://api.github.com/user"


class Endpoints(NamedTuple):
    """OAuth endpoints of a provider."""

    authorization: str
    token: str
    scope: str
    has_basic_auth: bool = False
    """Whether the token endpoint gets the secret in a header instead of the form."""


GITHUB_ENDPOINTS = Endpoints(
    "https://github.com/login/oauth/authorize", "https://github.com/login/oauth/access_token", "user:email"
)


class ProviderClient(ABC):
    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def authorization_url(self, callback: str, state: str, challenge: str, nonce: str) -> str:
        """Return the URL of the provider that the browser is redirected to. Raises as `fetch_identity`."""
        async with _open_http() as http:
            endpoints = await self._find_endpoints(http)
            params = {
                "response_type": "code",
                "client_id": self.provider.client_id,
                "redirect_uri": callback,
                "scope": endpoints.scope,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
            if "openid" in endpoints.scope:
                params["nonce"] = nonce
            return str(httpx2.URL(endpoints.authorization).copy_merge_params(params))

    async def fetch_identity(self, code: str, callback: str, verifier: str, nonce: str, issuer: str | None) -> Identity:
        """Return the identity for an authorization code. `issuer` is the parameter `iss` of RFC 9207.

        Raises:
            ProviderUnreachable, InvalidProviderResponse: The provider's response is missing or invalid.
        """
        async with _open_http() as http:
            endpoints = await self._find_endpoints(http)
            self._check_issuer(issuer)
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": callback,
                "code_verifier": verifier,
            }
            secret = {"client_id": self.provider.client_id, "client_secret": self.provider.client_secret}
            options: Mapping[str, Any] = (
                {"data": form, "auth": (*secret.values(),)} if endpoints.has_basic_auth else {"data": form | secret}
            )
            token = await _request_json(http, "POST", endpoints.token, **options)
            return await self._read_identity(http, token, nonce)

    @abstractmethod
    async def _find_endpoints(self, http: httpx2.AsyncClient) -> Endpoints:
        """Return the URLs to send the user and the code to."""

    @abstractmethod
    async def _read_identity(self, http: httpx2.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        """Return the identity of the user to whom the code was issued."""

    def _check_issuer(self, issuer: str | None) -> None:
        if issuer is not None and not self.provider.accepts_issuer(issuer):
            raise InvalidProviderResponse("the response is from another issuer")


class OpenIDClient(ProviderClient):
    """An OpenID Connect provider. Its discovery document is loaded with the first sign-in."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._metadata: Mapping[str, Any] = {}
        self._keys: list[jwt.PyJWK] = []
        self._read_at = -float(METADATA_SECONDS)

    async def _find_endpoints(self, http: httpx2.AsyncClient) -> Endpoints:
        metadata = await self._discover(http)
        # Providers that do not name a method use the header (OpenID Connect Discovery 1.0, section 3).
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Endpoints(
            metadata["authorization_endpoint"],
            metadata["token_endpoint"],
            "openid email",
            has_basic_auth="client_secret_post" not in methods,
        )

    async def _discover(self, http: httpx2.AsyncClient) -> Mapping[str, Any]:
        if time.monotonic() - self._read_at >= METADATA_SECONDS:
            metadata = await _request_json(http, "GET", self.provider.discovery_url)
            self._check_metadata(metadata)
            self._metadata = metadata
            self._keys = []
            self._read_at = time.monotonic()
        return self._metadata

    def _check_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Raise InvalidProviderResponse if the document is of another issuer, or an endpoint does not use https."""
        if metadata["issuer"].rstrip("/") != self.provider.issuer:
            raise InvalidProviderResponse("its discovery document names another issuer")
        endpoints = {name: metadata[name] for name in REQUIRED_ENDPOINTS}
        endpoints["userinfo_endpoint"] = metadata.get("userinfo_endpoint", "")
        schemes = ("https", urlsplit(self.provider.issuer).scheme)
        for name, url in endpoints.items():
            if url and urlsplit(url).scheme not in schemes:
                raise InvalidProviderResponse(f"its {name} does not use https")

    def _check_issuer(self, issuer: str | None) -> None:
        super()._check_issuer(issuer)
        if issuer is None and self._metadata.get("authorization_response_iss_parameter_supported") is True:
            raise InvalidProviderResponse("the response has no issuer")

    async def _read_identity(self, http: httpx2.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        claims = await self._read_claims(http, token["id_token"], nonce)
        issuer = str(claims["iss"])
        subject = claims["sub"]
        if not (isinstance(subject, str) and 0 < len(subject) <= MAX_SUBJECT_CHARS):
            raise InvalidProviderResponse("the subject of the id_token is not a string or is too long")
        if not claims.get("email") and (url := self._metadata.get("userinfo_endpoint")):
            response = await _request_json(http, "GET", url, headers=_bearer(token))
            if response["sub"] != subject:
                raise InvalidProviderResponse("the profile is of another user")
            claims = {**claims, **{name: response.get(name) for name in ("email", "email_verified")}}
        email = _valid_email(claims.get("email"))
        # Microsoft has its own claim for addresses in a verified domain.
        is_verified = any(str(claims.get(name)).lower() in ("true", "1") for name in ("email_verified", "xms_edov"))
        return Identity(issuer, subject, email, bool(email) and is_verified)

    async def _read_claims(self, http: httpx2.AsyncClient, id_token: str, nonce: str) -> Mapping[str, Any]:
        """Return the claims of a token with valid signature, issuer, audience, times and nonce."""
        claims = jwt.decode(
            id_token,
            await self._get_key(http, jwt.get_unverified_header(id_token).get("kid")),
            algorithms=ALGORITHMS,
            audience=self.provider.client_id,
            options={"require": REQUIRED_CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        # PyJWT compares times with the clock of this machine.
        starts_at = max(claims["iat"], claims.get("nbf", 0)) - CLOCK_SKEW_SECONDS
        if not starts_at <= clock.now() < claims["exp"] + CLOCK_SKEW_SECONDS:
            raise InvalidProviderResponse("the id_token has expired or is not valid yet")
        if claims["iss"] != self._metadata["issuer"].replace(TENANT, str(claims.get("tid"))):
            raise InvalidProviderResponse("the id_token is from another issuer")
        has_several_audiences = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if has_several_audiences else self.provider.client_id) != self.provider.client_id:
            raise InvalidProviderResponse("the id_token is for another site")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise InvalidProviderResponse("the id_token is of another sign-in")
        return claims

    async def _get_key(self, http: httpx2.AsyncClient, key_id: str | None) -> jwt.PyJWK:
        """Return the key with this id, or the only key if the id is None. A missing key reloads the key set."""
        key = self._find_key(key_id)
        if key is None:
            key_set = jwt.PyJWKSet.from_dict(dict(await _request_json(http, "GET", self._metadata["jwks_uri"])))
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

    async def _find_endpoints(self, http: httpx2.AsyncClient) -> Endpoints:
        return GITHUB_ENDPOINTS

    async def _read_identity(self, http: httpx2.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        headers = _bearer(token)
        user_id = (await _request_json(http, "GET", GITHUB_USER_URL, headers=headers))["id"]
        if not isinstance(user_id, int):
            raise InvalidProviderResponse("the profile has no numeric id")
        addresses = await _request_json(http, "GET", f"{GITHUB_USER_URL}/emails", headers=headers)
        primary = (row["email"] for row in addresses if row["primary"] and row["verified"])
        email = _valid_email(next(primary, None))
        return Identity(GITHUB_ISSUER, str(user_id), email, email_is_verified=email != "")


@lru_cache(maxsize=8)
def get_client(provider: Provider) -> ProviderClient:
    """Return the client of a provider. It is created once, because it caches documents and keys."""
    tls_context()
    return GitHubClient(provider) if provider.issuer == GITHUB_ISSUER else OpenIDClient(provider)


@asynccontextmanager
async def _open_http() -> AsyncIterator[httpx2.AsyncClient]:
    """Open an HTTP client with one time limit for all requests of a step.

    Raises:
        ProviderUnreachable, InvalidProviderResponse: For every error in the block.
    """
    # A compressed response can have any size after decompression.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    http = httpx2.AsyncClient(verify=tls_context(), timeout=TIMEOUT_SECONDS, follow_redirects=False, headers=headers)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), http:
            yield http
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
        raise ProviderUnreachable(f"{type(error).__name__}: {error}") from error
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # These errors occur if the provider sends other data than the expected JSON.
        raise InvalidProviderResponse(f"{type(error).__name__}: {error}") from error


async def _request_json(http: httpx2.AsyncClient, method: str, url: str, **options: Any) -> Any:
    """Return the JSON of a response, without decompressing it. Its Content-Length may be wrong."""
    async with http.stream(method, url, **options) as response:
        if method == "POST" and response.is_client_error:
            raise InvalidProviderResponse("the provider refuses the code")
        response.raise_for_status()
        body = await read_body(response.aiter_raw(), MAX_RESPONSE_BYTES)
    if body is None:
        raise httpx2.ReadError("the response is too long")
    return json.loads(body)


def _bearer(token: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {token['access_token']}"}


def _valid_email(value: object) -> str:
    """Return a valid e-mail in lower case; empty if it is invalid."""
    try:
        return EMAIL_ADAPTER.validate_python(value)
    except ValidationError:
        return ""
