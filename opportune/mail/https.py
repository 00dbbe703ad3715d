"""Base class of mail providers with an API over HTTPS, for hosts that block the ports of SMTP."""

import asyncio
import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, ClassVar

from opportune.errors import OperatorError
from opportune.mail.mail_url import MailUrl
from opportune.mail.parts import MessageParts, split_message
from opportune.mail.transport import DeliveryError, PermanentDeliveryError, Transport
from opportune.web.remote_responses import read_body, retry_after_seconds, tls_context

if TYPE_CHECKING:
    import httpx2

DELIVERY_TIMEOUT_SECONDS = 60
"""Maximum duration of a delivery."""
MAX_RESPONSE_BYTES = 64 * 1024
TEMPORARY_STATUSES = frozenset({401, 402, 403, 404, 408, 409, 425, 429})
"""Statuses after which delivery is retried. The owner can fix keys, domains and bills, and rate limits expire."""


@dataclass(frozen=True)
class ApiResponse:
    """Response of a provider."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    """The body; empty if it was not a JSON object."""


class HttpsTransport(Transport):
    """Sends each e-mail by a POST request. Subclass it for a provider."""

    provider: ClassVar[str]
    """Name of the provider for messages."""
    receipt: ClassVar[str] = "id"
    """Field of the response that confirms an e-mail; empty if the status is enough."""

    example: ClassVar[str] = "its scheme, ://, and a key"
    """Example of a valid MAIL_URL for error messages."""
    where: ClassVar[re.Pattern[str]] = re.compile("")
    """Pattern for the part of MAIL_URL after the `@`, such as a domain or a region. By default it must be empty."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Names of allowed query parameters of MAIL_URL."""

    def __init__(self, url: MailUrl) -> None:
        """Check MAIL_URL.

        Raises:
            OperatorError: MAIL_URL is invalid for this provider.
        """
        self.url = url
        if not self.where.fullmatch(url.where) or not self.options.issuperset(url.options):
            raise self.invalid_url_error()

    def invalid_url_error(self) -> OperatorError:
        return OperatorError(f"MAIL_URL of {self.provider} must be {self.example}.")

    @property
    def name(self) -> str:
        return f"{self.provider} ({self.url.where})" if self.url.where else self.provider

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"

    @abstractmethod
    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        """Return the arguments of the POST request for `httpx2.AsyncClient.stream`: `url`, and others such as `json`.

        Raises:
            PermanentDeliveryError: The provider cannot send this e-mail.
        """

    def is_temporary(self, response: ApiResponse) -> bool:
        """Return whether delivery is retried after this response, which has a status from 400 to 499."""
        return response.status in TEMPORARY_STATUSES

    @property
    def secrets(self) -> list[str]:
        """Secrets that are removed from error messages."""
        return [self.url.key]

    async def send(self, message: "EmailMessage") -> None:
        mail = split_message(message)
        for address in (*mail.recipients, *mail.reply_to):
            if not address.addr_spec.isascii():
                raise self._error(PermanentDeliveryError, f"does not accept addresses like {address.addr_spec}")
        response = await self._post(mail)
        if not 200 <= response.status < 300 or (self.receipt and self.receipt not in response.json):
            raise self._refusal(response)

    async def check(self) -> None:
        """Check the key by posting an e-mail without a recipient, which the provider refuses."""
        response = await self._post(split_message(EmailMessage()))
        if response.status not in (400, 422) or self.is_temporary(response):
            raise self._refusal(response)

    async def _post(self, mail: MessageParts) -> ApiResponse:
        request = self.request(mail)
        client = await asyncio.to_thread(open_client)
        import httpx2  # the thread has loaded it

        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS), client, client.stream("POST", **request) as response:
                content = await read_body(response.aiter_raw(), MAX_RESPONSE_BYTES)
                return ApiResponse(response.status_code, response.headers, _parse_object(content or b""))
        except TimeoutError:
            raise self._error(DeliveryError, "did not respond in time") from None
        except httpx2.HTTPError as error:
            raise self._error(DeliveryError, f"does not respond: {str(error) or type(error).__name__}") from None

    def _refusal(self, response: ApiResponse) -> DeliveryError:
        """Return the error for a response. Messages about a wrong key are not quoted, because some repeat the key."""
        status = response.status
        reason = _error_message(response.json)
        if status == 401:
            return self._error(DeliveryError, "does not accept the key of MAIL_URL (401)")
        is_final = 400 <= status < 500 and not self.is_temporary(response)
        message = "refused the e-mail" if status >= 400 else "did not confirm the e-mail"
        error = self._error(PermanentDeliveryError if is_final else DeliveryError, f"{message}: {status} {reason}")
        error.retry_after = retry_after_seconds(response.headers.get("Retry-After"))
        return error

    def _error(self, type_: type[DeliveryError], message: str) -> DeliveryError:
        """Return an error of one line without secrets."""
        for secret in self.secrets:
            message = message.replace(secret, "…")
        line = " ".join(f"{self.name} {message}".split())[:300].rstrip(".")
        return type_(f"{line}.")


def open_client() -> "httpx2.AsyncClient":
    """Open a client for one e-mail. Call it in a thread, because loading httpx2 and certificates is slow."""
    import httpx2  # imported by sites that send over HTTPS, at the first e-mail

    return httpx2.AsyncClient(
        verify=tls_context(), timeout=DELIVERY_TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"}
    )


def _parse_object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _error_message(body: Mapping[str, Any]) -> str:
    return next((body[key] for key in ("message", "Message", "error") if isinstance(body.get(key), str)), "")
