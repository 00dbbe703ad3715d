"""Transports, which deliver e-mails to a server, a folder or the log."""

import asyncio
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from opportune.mail.eml_files import write_eml
from opportune.mail.errors import DeliveryError, PermanentDeliveryError

logger = logging.getLogger("opportune.mail")

EXAMPLES = (
    "Use console:, file:./data/mail, smtp://user:password@host:587, or a provider such as resend://KEY "
    "(oppman.py docs mail)."
)


class Transport(ABC):
    """Base class of transports."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the destination for messages, without secrets."""

    @abstractmethod
    async def send(self, message: EmailMessage) -> None:
        """Deliver an e-mail.

        Raises:
            PermanentDeliveryError: The e-mail is refused permanently.
            DeliveryError: The e-mail could not be delivered now.
        """

    async def check(self) -> None:
        """Check whether e-mails can be delivered, without sending one.

        Raises:
            DeliveryError: They cannot be delivered.
        """


@dataclass(frozen=True)
class ConsoleTransport(Transport):
    shows_text: bool
    """Whether to log e-mails. False in production, because logs are stored and e-mails contain sign-in links."""
    name = "the log"

    async def send(self, message: EmailMessage) -> None:
        if not self.shows_text:
            raise PermanentDeliveryError(
                f"Not sent: MAIL_URL is console:, which logs no e-mails in production. {EXAMPLES}"
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

    async def send(self, message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(write_eml, self.path, message)
        except OSError as error:
            raise DeliveryError(f"Mail cannot be written to {self.path}: {error.strerror}.") from None
