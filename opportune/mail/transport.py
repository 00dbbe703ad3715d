"""Transports, which hand e-mails over: MAIL_URL names one."""

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from opportune.config.project import PROJECT
from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.mail.errors import DeliveryError, PermanentDeliveryError

if TYPE_CHECKING:
    from email.message import EmailMessage

logger = logging.getLogger("opportune.mail")

EXAMPLES = "Use console:, file:./data/mail, smtp://user:password@host:587 or one of docs/mail.md, such as resend://KEY."

PROVIDERS = {
    "resend": "opportune.mail.providers.resend:Resend",
    "postmark": "opportune.mail.providers.postmark:Postmark",
    "brevo": "opportune.mail.providers.brevo:Brevo",
    "mailgun": "opportune.mail.providers.mailgun:Mailgun",
    "ses": "opportune.mail.providers.ses:SES",
}
OWN_CLASS = re.compile(r"[a-z_][\w.]*:[a-z_]\w*", re.IGNORECASE)
"""module:Class of a transport in the project."""


class Transport(ABC):
    """Hands e-mails over to a server, a folder or the log."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Where e-mails go, as people are told: without secrets."""

    @abstractmethod
    async def send(self, message: "EmailMessage") -> None:
        """Hand an e-mail over.

        Raises:
            PermanentDeliveryError: it is not taken, and would not be the next time.
            DeliveryError: it could not be sent now.
        """

    async def check(self) -> None:
        """Look whether e-mails would be taken, without sending one.

        Raises:
            DeliveryError: they would not.
        """


@dataclass(frozen=True)
class ConsoleTransport(Transport):
    shows_text: bool
    """Not where logs are kept and read by others: e-mails hold links that sign people in."""
    name = "the log"

    async def send(self, message: "EmailMessage") -> None:
        if not self.shows_text:
            raise PermanentDeliveryError(
                f"Not sent: MAIL_URL is console:, which shows no e-mails in production. {EXAMPLES}"
            )
        logger.info("Mail to %s: %s", message["To"], message["Subject"])
        text = message.get_body(("plain",))
        for line in text.get_content().splitlines() if text else ():
            logger.info("| %s", line)


@dataclass(frozen=True)
class FileTransport(Transport):
    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    async def send(self, message: "EmailMessage") -> None:
        from opportune.mail.eml_files import write_eml  # noqa: PLC0415 - knows mail, which takes a while to load

        try:
            await asyncio.to_thread(write_eml, self.path, message)
        except OSError as error:
            raise DeliveryError(f"Mail cannot be written to {self.path}: {error.strerror}.") from None


def transport_for(settings: Settings) -> Transport:
    """The transport that MAIL_URL names.

    Raises:
        OperatorError: it says nothing that we understand.
    """
    url = settings.mail_url.get_secret_value().strip()
    name, slashes, address = url.partition("://")
    if slashes and (name.lower() in PROVIDERS or OWN_CLASS.fullmatch(name)):
        return _provider(PROVIDERS.get(name.lower(), name), address)
    scheme, _, rest = url.partition(":")
    match scheme.lower():
        case "console" if not rest.strip("/"):
            return ConsoleTransport(shows_text=not settings.is_production)
        case "file" if place := rest.removeprefix("//"):
            return FileTransport(PROJECT / Path(place))
        case "smtp" | "smtps":
            from opportune.mail.smtp import parse_smtp_url  # noqa: PLC0415 - for those who have one

            return parse_smtp_url(url)
    raise OperatorError(f"MAIL_URL says nothing that is understood. {EXAMPLES}")


def _provider(path: str, address: str) -> Transport:
    """A transport by its class, `module:Class`, made of what stands behind the ://."""
    from opportune.mail.url import MailURL  # noqa: PLC0415 - for those who have one

    module, _, name = path.partition(":")
    try:
        make = getattr(import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise OperatorError(f"MAIL_URL: there is no {path} ({error}).") from error
    transport: Transport = make(MailURL.parse(address))
    return transport
