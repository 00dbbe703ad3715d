"""Mail over HTTPS, for hosts that shut the ports of SMTP: what all providers' classes share."""

import asyncio
import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from opportune.errors import OperatorError
from opportune.mail.errors import DeliveryError, PermanentDeliveryError
from opportune.mail.parts import MessageParts, parts_of
from opportune.mail.transport import Transport
from opportune.mail.url import MailURL
from opportune.runtime.response_body import read_body
from opportune.runtime.retry_after import retry_after_seconds

if TYPE_CHECKING:
    import ssl

    import httpx

DELIVERY_TIMEOUT_SECONDS = 60
"""For all of a delivery."""
MAX_ANSWER_BYTES = 64 * 1024
TEMPORARY_STATUSES = frozenset({401, 402, 403, 404, 408, 409, 425, 429})
"""Refusals after which delivery is retried: the owner can fix keys, domains and bills; 429 passes by itself."""


@dataclass(frozen=True)
class APIAnswer:
    """What a provider has answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    """Empty where it was no object."""


class HTTPSTransport(Transport):
    """Hands e-mails to a provider by a POST for each. A subclass says which."""

    provider: ClassVar[str]
    """Its name, as people know it."""
    receipt: ClassVar[str] = "id"
    """The field of its answer without which it has not taken an e-mail; empty where the status says it all."""

    example: ClassVar[str] = "its scheme, ://, and a key"
    """What its MAIL_URL is, for whoever wrote another one."""
    where: ClassVar[re.Pattern[str]] = re.compile("")
    """What it wants behind the @."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Those that may stand behind the ?."""

    def __init__(self, url: MailURL) -> None:
        """Take what MAIL_URL says.

        Raises:
            OperatorError: it is not what this provider wants.
        """
        self.url = url
        if not self.where.fullmatch(url.where) or not self.options.issuperset(url.options):
            raise self.misunderstood()

    def misunderstood(self) -> OperatorError:
        """An error for a MAIL_URL that this provider can do nothing with."""
        return OperatorError(f"MAIL_URL of {self.provider} is {self.example}.")

    @property
    def name(self) -> str:
        return f"{self.provider} ({self.url.where})" if self.url.where else self.provider

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"

    @abstractmethod
    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        """What to post: `url` and more that `httpx.AsyncClient.stream` takes (`headers`, `json`, `data`, `files`).

        Raises:
            PermanentDeliveryError: the provider cannot take this e-mail.
        """

    def is_temporary(self, answer: APIAnswer) -> bool:
        """Whether an answer from 400 to 499 may be another one the next time."""
        return answer.status in TEMPORARY_STATUSES

    @property
    def secrets(self) -> list[str]:
        """What is taken out of whatever is quoted."""
        return [self.url.key]

    async def send(self, message: "EmailMessage") -> None:
        mail = parts_of(message)
        for address in mail.recipients:
            if not address.addr_spec.isascii():
                raise self._fault(PermanentDeliveryError, f"takes no address like {address.addr_spec}")
        answer = await self._post(mail)
        if not 200 <= answer.status < 300 or (self.receipt and self.receipt not in answer.json):
            raise self._refusal(answer)

    async def check(self) -> None:
        """Post an e-mail to nobody, which is refused; but not for its key."""
        answer = await self._post(parts_of(EmailMessage()))
        if answer.status not in (400, 422) or self.is_temporary(answer):
            raise self._refusal(answer)

    async def _post(self, mail: MessageParts) -> APIAnswer:
        request = self.request(mail)
        client = await asyncio.to_thread(open_client)
        import httpx  # noqa: PLC0415 - the thread has loaded it

        try:
            async with (
                asyncio.timeout(DELIVERY_TIMEOUT_SECONDS),
                client,
                client.stream("POST", **request) as response,
            ):
                content = await read_body(response.aiter_raw(), MAX_ANSWER_BYTES)
                return APIAnswer(response.status_code, response.headers, _object(content or b""))
        except TimeoutError:
            raise self._fault(DeliveryError, "does not answer: it takes too long") from None
        except httpx.HTTPError as error:
            raise self._fault(DeliveryError, f"does not answer: {str(error) or type(error).__name__}") from None

    def _refusal(self, answer: APIAnswer) -> DeliveryError:
        """What it means that it has not taken an e-mail. What is said to a wrong key stays out: some repeat it."""
        status, words = answer.status, _words(answer.json)
        if status == 401:
            return self._fault(DeliveryError, "does not accept the key of MAIL_URL (401)")
        is_final = 400 <= status < 500 and not self.is_temporary(answer)
        said = "refused the e-mail" if status >= 400 else "did not say that it has the e-mail"
        error = self._fault(PermanentDeliveryError if is_final else DeliveryError, f"{said}: {status} {words}")
        error.retry_after = retry_after_seconds(answer.headers.get("Retry-After"))
        return error

    def _fault(self, kind: type[DeliveryError], words: str) -> DeliveryError:
        """An error in one line, with secrets out of whatever it quotes."""
        for secret in self.secrets:
            words = words.replace(secret, "…")
        line = " ".join(f"{self.name} {words}".split())[:300].rstrip(".")
        return kind(f"{line}.")


def open_client() -> "httpx.AsyncClient":
    """A client for one e-mail. In a thread: loading httpx and certificates takes a while."""
    import httpx  # noqa: PLC0415 - for those who send by HTTPS, when they do

    return httpx.AsyncClient(
        verify=_certificates(), timeout=DELIVERY_TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"}
    )


@cache
def _certificates() -> "ssl.SSLContext":
    import httpx  # noqa: PLC0415 - as above

    return httpx.create_ssl_context()


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _words(answer: Mapping[str, Any]) -> str:
    """What it gives as the reason."""
    return next((answer[key] for key in ("message", "Message", "error") if isinstance(answer.get(key), str)), "")
