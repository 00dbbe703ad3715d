"""SMTP, with TLS as MAIL_URL asks for it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.mail.errors import DeliveryError, PermanentDeliveryError
from opportune.mail.transport import Transport

if TYPE_CHECKING:
    from aiosmtplib import SMTP, SMTPResponseException

EXAMPLE = "Use smtp://user:password@host:587, with %40 for @, %2F for /, %3F for ?, %23 for # and %25 for %."

TLS = Literal["implicit", "required", "offered", "none"]
"""From the first byte on; by STARTTLS and not without; by STARTTLS where the server has it; never."""

START_TLS = {"implicit": False, "required": True, "offered": None, "none": False}

RESPONSE_TIMEOUT_SECONDS = 20
"""For each answer of the server."""
DELIVERY_TIMEOUT_SECONDS = 60
"""For all of a delivery."""
SHUT_PORTS = (25, 465, 587)
"""Those that free hosts let nobody reach."""
OPEN_PORT = 2525
"""What most providers take SMTP at besides, and hosts forget to shut."""
KNOCK_TIMEOUT_SECONDS = 3


@dataclass(frozen=True)
class SMTPTransport(Transport):
    """Hands e-mails to a mail server, each over a connection of its own."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: TLS

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    async def send(self, message: EmailMessage) -> None:
        # What we call ourselves: else this machine's own name is looked up, which may take long.
        async with self._connected(message["From"].addresses[0].domain) as client:
            await client.send_message(message)

    async def check(self) -> None:
        async with self._connected("localhost"):
            pass

    @asynccontextmanager
    async def _connected(self, local_hostname: str) -> AsyncIterator["SMTP"]:
        """A client that the server has let in; what it or the network says in the meantime is a DeliveryError."""
        import aiosmtplib

        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS), self._client(local_hostname) as client:
                yield client
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._answered(error.recipients[0]) from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._answered(error) from None
        except OSError as error:  # silence is one, too
            reason = str(error.__cause__ or "") or str(error) or "it takes too long"
            raise self._fault(DeliveryError, f"does not answer: {self._hidden(reason)}{await self._advice()}") from None
        except aiosmtplib.SMTPException as error:
            raise self._fault(PermanentDeliveryError, f"cannot be used: {self._hidden(str(error))}") from None

    async def _advice(self) -> str:
        """What helps where a host lets nothing through; the other port is knocked at."""
        if self.port not in SHUT_PORTS or is_local(self.host):
            return ""
        with suppress(OSError):
            async with asyncio.timeout(KNOCK_TIMEOUT_SECONDS):
                _, writer = await asyncio.open_connection(self.host, OPEN_PORT)
            writer.close()
            return f". Port {OPEN_PORT} of it can be reached from here: write that into MAIL_URL"
        return f". Many hosts shut port {self.port}: try port {OPEN_PORT}, or mail over HTTPS (docs/mail.md)"

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

    def _answered(self, error: "SMTPResponseException") -> DeliveryError:
        """What it means that the server said no. What it says to a password stays out: some repeat it."""
        from aiosmtplib import SMTPAuthenticationError

        if isinstance(error, SMTPAuthenticationError):  # the e-mails can wait for somebody who puts that right
            return self._fault(DeliveryError, f"does not accept the user and password of MAIL_URL ({error.code})")
        kind = PermanentDeliveryError if error.code >= 500 else DeliveryError
        return self._fault(kind, f"refused the e-mail: {error.code} {self._hidden(error.message)}")

    def _hidden(self, said: str) -> str:
        """What others said, without the password; our own words may hold a short one."""
        return said.replace(self.password, "…") if self.password else said

    def _fault(self, kind: type[DeliveryError], words: str) -> DeliveryError:
        """An error in one line."""
        line = " ".join(f"The mail server {self.name} {words}".split())[:300].rstrip(".")
        return kind(f"{line}.")


def parse_smtp_url(url: str) -> SMTPTransport:
    """Parse a MAIL_URL with the scheme smtp or smtps.

    Raises:
        OperatorError: it cannot be understood; the message shows nothing of it.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise OperatorError(f"MAIL_URL cannot be taken apart. {EXAMPLE}") from None
    if not re.fullmatch(r"[\w.:-]+", host) or parts.path.strip("/") or parts.fragment:
        raise OperatorError(f"MAIL_URL names no server, or more than one. {EXAMPLE}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise OperatorError(f"MAIL_URL has a user without a password, or a password without a user. {EXAMPLE}")
    tls = _tls(parts, has_password=bool(password))
    return SMTPTransport(host, port or _usual_port(tls, has_password=bool(password)), user, password, tls)


def _tls(parts: SplitResult, *, has_password: bool) -> TLS:
    """A password travels to another machine by TLS only, unless `?tls=none` wants it otherwise."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    wanted = options.pop("tls", "")
    if options or wanted not in ("", "required", "none"):
        raise OperatorError("MAIL_URL has something after its question mark that is neither tls=required nor tls=none.")
    if parts.scheme == "smtps":
        if wanted == "none":
            raise OperatorError("MAIL_URL asks for TLS (smtps:) and for none (tls=none): choose one.")
        return "implicit"
    if wanted:
        return cast("TLS", wanted)
    return "required" if has_password and not is_local(parts.hostname or "") else "offered"


def _usual_port(tls: TLS, *, has_password: bool) -> int:
    if tls == "implicit":
        return 465
    return 587 if has_password else 25
