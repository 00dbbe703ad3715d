"""Transports hand e-mails to a server, a folder or the log."""

import asyncio
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opportune.mail.eml_files import write_eml
from opportune.mail.errors import DeliveryError, PermanentDeliveryError

if TYPE_CHECKING:
    from email.message import EmailMessage

logger = logging.getLogger("opportune.mail")

EXAMPLES = "Use console:, file:./data/mail, smtp://user:password@host:587 or one of docs/mail.md, such as resend://KEY."


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
        try:
            await asyncio.to_thread(write_eml, self.path, message)
        except OSError as error:
            raise DeliveryError(f"Mail cannot be written to {self.path}: {error.strerror}.") from None
