"""What a provider says of somebody who comes back from it, believed only if all of it is right.

Importing this takes 0.2 s, with the clients and the cryptography: `flow` does so in a thread, at the first sign-in.
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
"""For all that is asked of a provider while somebody waits."""
MAX_ANSWER_BYTES = 1_000_000
"""Of one answer: the longest lists of keys have some ten thousand."""
METADATA_SECONDS = 3600
"""For so long a discovery document and its keys count, unless a key is missing."""
CLOCK_SKEW_SECONDS = 60
MAX_SUBJECT_CHARS = 255
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that the provider alone can make: neither `none` nor one by the secret that this site has too."""
REQUIRED_CLAIMS = ["iss", "sub", "aud", "exp", "iat"]


class Client(ABC):
    """The conversation with one provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def authorization_url(self, callback: str, state: str, challenge: str, nonce: str) -> str:
        """Where to send somebody to sign in. Raises as `identity`."""
        async with _conversation() as http:
            client = await self._oauth(http)
            return await client.get_authorization_url(callback, state, None, challenge, "S256", self._extras(nonce))

    async def identity(self, code: str, callback: str, verifier: str, nonce: str, answered_by: str | None) -> Identity:
        """Who has come back with a code; `answered_by` is the issuer that the answer names (RFC 9207).

        Raises:
            ProviderUnreachable, ProviderNotBelieved: what the provider says is worth nothing, or there is nothing.
        """
        async with _conversation() as http:
            client = await self._oauth(http)
            self._check_issuer(answered_by)
            token: Mapping[str, Any] = await client.get_access_token(code, callback, verifier)
            return await self._read(http, token, nonce)

    @abstractmethod
    async def _oauth(self, http: httpx.AsyncClient) -> BaseOAuth2[Any]:
        """The client of httpx-oauth."""

    @abstractmethod
    async def _read(self, http: httpx.AsyncClient, token: Mapping[str, Any], nonce: str) -> Identity:
        """Who it is that the code was given to."""

    def _check_issuer(self, answered_by: str | None) -> None:
        if answered_by is not None and not self.provider.vouches_by(answered_by):
            raise ProviderNotBelieved("the answer names another issuer")

    def _extras(self, nonce: str) -> dict[str, Any]:
        return {"nonce": nonce}


class OpenIDClient(Client):
    """Any OpenID Connect provider, found by its discovery document, which is read with the first sign-in."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._metadata: Mapping[str, Any] = {}
        self._keys: list[jwt.PyJWK] = []
        self._read_at = -float(METADATA_SECONDS)

    async def _oauth(self, http: httpx.AsyncClient) -> BaseOAuth2[Any]:
        metadata = await self._discover(http)
        # Where nothing is said, it is by the header (OpenID Connect Discovery 1.0, section 3).
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
            told = await _get(http, address, {"Authorization": f"Bearer {token['access_token']}"})
            if told["sub"] != subject:
                raise ProviderNotBelieved("the profile is somebody else's")
            claims = {**claims, **{name: told.get(name) for name in ("email", "email_verified")}}
        email = _email(claims.get("email"))
        # Microsoft has a claim of its own for addresses in a domain that its owner has proved.
        verified = any(str(claims.get(name)).lower() in ("true", "1") for name in ("email_verified", "xms_edov"))
        return Identity(issuer, subject, email, bool(email) and verified)

    async def _claims(self, http: httpx.AsyncClient, id_token: str, nonce: str) -> Mapping[str, Any]:
        """What the token says, once its signature, issuer, audience, times and nonce are right."""
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
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.provider.client_id) != self.provider.client_id:
            raise ProviderNotBelieved("the id_token is for another site")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise ProviderNotBelieved("the id_token is of another sign-in")
        return claims

    async def _key(self, http: httpx.AsyncClient, number: str | None) -> jwt.PyJWK:
        """The key of this number, or the only one; providers change theirs, so a new one is looked up."""
        known = self._fitting(number)
        if known is None:
            found = jwt.PyJWKSet.from_dict(dict(await _get(http, self._metadata["jwks_uri"])))
            self._keys = [key for key in found.keys if key.public_key_use in (None, "sig")]
            known = self._fitting(number)
        if known is None:
            raise ProviderNotBelieved("the id_token's key is not among the provider's")
        return known

    def _fitting(self, number: str | None) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys if number is None or key.key_id == number]
        return fitting[0] if len(fitting) == 1 else None


class GitHubClient(Client):
    """GitHub knows no OpenID Connect: it is asked who the code was given to."""

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
    """httpx-oauth's, which neither follows redirects nor reads the certificates anew for each request."""

    def get_httpx_client(self) -> httpx.AsyncClient:
        return _http()


class BoundedGitHub(github.GitHubOAuth2):
    def get_httpx_client(self) -> httpx.AsyncClient:
        return _http()


@lru_cache(maxsize=8)
def client_of(provider: Provider) -> Client:
    """One for each, with what it has learned of the provider."""
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
        headers={"Accept-Encoding": "identity"},  # what is packed may become any length
        event_hooks={"response": [_bound]},
    )


async def _bound(response: httpx.Response) -> None:
    """Let no answer fill the memory, whatever it says of its length."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("the answer is packed, which nobody has asked for")
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = BoundedStream(response.stream)


class BoundedStream(httpx.AsyncByteStream):
    """The body of an answer, read as far as `MAX_ANSWER_BYTES`."""

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
    """Some requests that share a time limit. All that can go wrong with them are two exceptions."""
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
        # Anything may stand where JSON of a certain form should be.
        raise ProviderNotBelieved(f"{type(error).__name__}: {error}") from error


async def _get(http: httpx.AsyncClient, url: str, headers: Mapping[str, str] | None = None) -> Any:
    """What an address answers, as JSON."""
    response = await http.get(url, headers={"Accept": "application/json", **(headers or {})})
    return response.raise_for_status().json()


def _email(value: object) -> str:
    """An address as this site keeps it; empty if it is none."""
    try:
        return EMAIL_ADAPTER.validate_python(value)
    except ValidationError:
        return ""
