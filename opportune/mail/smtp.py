"""SMTP, with TLS."""

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.mail.transport import DeliveryError, PermanentDeliveryError, Transport

if TYPE_CHECKING:
    from aiosmtplib import SMTP, SMTPResponseException

logger = logging.getLogger("opportune.mail")

EXAMPLE = "Use smtp://user:password@host:587, with %40 for @, %2F for /, %3F for ?, %23 for # and %25 for %."

TLS = Literal["implicit", "required", "offered", "none"]
"""TLS from the first byte; required STARTTLS; STARTTLS if the server offers it; no TLS."""

START_TLS = {"implicit": False, "required": True, "offered": None, "none": False}

RESPONSE_TIMEOUT_SECONDS = 20
"""Maximum wait for each response of the server."""
DELIVERY_TIMEOUT_SECONDS = 60
"""Maximum duration of a delivery."""
BLOCKED_PORTS = (25, 465, 587)
"""Ports that free hosts block."""
ALTERNATIVE_PORT = 2525
"""Additional port of most providers, which hosts rarely block."""


@dataclass(frozen=True)
class SmtpTransport(Transport):
    """Sends e-mails to a mail server, with a new connection for each."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: TLS

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    async def send(self, message: EmailMessage) -> None:
        # The name for EHLO. Without it, the name of this machine is looked up, which may be slow.
        async with self._connected(message["From"].addresses[0].domain) as client:
            refused, _ = await client.send_message(message)
        if refused:  # another attempt would send the e-mail to the others again
            reason = self._redact(next(iter(refused.values())).message)
            logger.warning("%s did not reach %s of its recipients: %s", message["Message-ID"], len(refused), reason)

    async def check(self) -> None:
        async with self._connected("localhost"):
            pass

    @asynccontextmanager
    async def _connected(self, local_hostname: str) -> AsyncIterator["SMTP"]:
        """Open a signed-in client for the block. Errors of server and network become a DeliveryError."""
        import aiosmtplib

        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS), self._client(local_hostname) as client:
                yield client
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._refusal(min(error.recipients, key=lambda refusal: refusal.code)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._refusal(error) from None
        except OSError as error:  # includes timeouts
            if isinstance(cause := error.__cause__ or error, ssl.SSLError):
                reason = getattr(cause, "verify_message", "") or cause.reason
                raise self._fault(DeliveryError, f"does not offer valid TLS: {reason}. Check MAIL_URL") from None
            reason = str(cause) or str(error) or "it takes too long"
            raise self._fault(DeliveryError, f"does not respond: {self._redact(reason)}{self._port_advice()}") from None
        except aiosmtplib.SMTPException as error:
            is_of_email = isinstance(error, aiosmtplib.SMTPNotSupported)  # others are retried: the owner can fix them
            type_ = PermanentDeliveryError if is_of_email else DeliveryError
            raise self._fault(type_, f"cannot be used: {self._redact(str(error))}") from None

    def _port_advice(self) -> str:
        if self.port not in BLOCKED_PORTS or is_local(self.host):
            return ""
        return f". Many hosts block port {self.port}. Try {ALTERNATIVE_PORT}, or mail over HTTPS (oppman.py docs mail)"

    def _client(self, local_hostname: str) -> "SMTP":
        from aiosmtplib import SMTP

        return SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user or None,
            password=self.password or None,
            use_tls=self.tls == "implicit",
            start_tls=START_TLS[self.tls],
            timeout=RESPONSE_TIMEOUT_SECONDS,
            local_hostname=local_hostname,
        )

    def _refusal(self, error: "SMTPResponseException") -> DeliveryError:
        """Return the error for a response. Messages about a wrong password are not quoted; some repeat the password."""
        from aiosmtplib import SMTPAuthenticationError, SMTPDataError, SMTPRecipientRefused, SMTPSenderRefused

        if isinstance(error, SMTPAuthenticationError):  # retried, because the owner can fix it
            return self._fault(DeliveryError, f"does not accept the user and password of MAIL_URL ({error.code})")
        is_of_email = isinstance(error, SMTPSenderRefused | SMTPRecipientRefused | SMTPDataError) and error.code != 530
        type_ = PermanentDeliveryError if error.code >= 500 and is_of_email else DeliveryError
        return self._fault(type_, f"refused the e-mail: {error.code} {self._redact(error.message)}")

    def _redact(self, quoted: str) -> str:
        """Remove the password from a quoted message."""
        return quoted.replace(self.password, "…") if self.password else quoted

    def _fault(self, type_: type[DeliveryError], message: str) -> DeliveryError:
        line = " ".join(f"The mail server {self.name} {message}".split())[:300].rstrip(".")
        return type_(f"{line}.")


def parse_smtp_url(url: str) -> SmtpTransport:
    """Parse a MAIL_URL with the scheme smtp or smtps.

    Raises:
        OperatorError: The URL is invalid. The message does not quote it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise OperatorError(f"MAIL_URL is not a valid URL. {EXAMPLE}") from None
    if not re.fullmatch(r"[\w.:-]+", host) or parts.path.strip("/") or parts.fragment:
        raise OperatorError(f"MAIL_URL must name one server. {EXAMPLE}")
    user = unquote(parts.username or "")
    password = unquote(parts.password or "")
    if bool(user) != bool(password):
        raise OperatorError(f"MAIL_URL has a user without a password, or a password without a user. {EXAMPLE}")
    tls = _parse_tls(parts, has_password=bool(password))
    return SmtpTransport(host, port or _default_port(tls, has_password=bool(password)), user, password, tls)


def _parse_tls(parts: SplitResult, *, has_password: bool) -> TLS:
    """Return the mode of TLS. Passwords for other machines require TLS, unless the URL has `?tls=none`."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    mode = options.pop("tls", "")
    if options or mode not in ("", "required", "none"):
        raise OperatorError("MAIL_URL may only have tls=required or tls=none after its question mark.")
    if parts.scheme == "smtps":
        if mode == "none":
            raise OperatorError("MAIL_URL has smtps: and tls=none, which contradict each other. Remove one.")
        return "implicit"
    if mode:
        return cast("TLS", mode)
    return "required" if has_password and not is_local(parts.hostname or "") else "offered"


def _default_port(tls: TLS, *, has_password: bool) -> int:
    if tls == "implicit":
        return 465
    return 587 if has_password else 25
