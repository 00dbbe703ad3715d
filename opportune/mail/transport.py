"""Transports, which deliver e-mails to a server, a folder or the log."""

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from opportune.errors import OperatorError
from opportune.project.text_files import write_text

logger = logging.getLogger("opportune.mail")

EML_SUFFIX = ".eml"
"""Suffix of files with an e-mail, which mail programs can open."""
EXAMPLES = (
    "Use console:, file:./data/mail, smtp://user:password@host:587, or a provider such as resend://KEY "
    "(oppman.py docs mail)."
)


class DeliveryError(OperatorError):
    """An e-mail that could not be sent now. The message is one line without secrets."""

    retry_after: float | None = None
    """Seconds until the server accepts another attempt, if it says so."""


class PermanentDeliveryError(DeliveryError):
    """An e-mail that the server refuses permanently."""


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
        if text:
            for line in text.get_content().splitlines():
                logger.info("| %s", line)
        for file in message.iter_attachments():
            logger.info("| [%s]", file.get_filename())


@dataclass(frozen=True)
class FileTransport(Transport):
    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    async def send(self, message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(write_eml, self.path, message)
        except (OSError, OperatorError) as error:
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            raise DeliveryError(f"Mail cannot be written to {self.path}: {reason}.") from None


def write_eml(folder: Path, message: EmailMessage) -> None:
    """Write an e-mail into a folder atomically. An existing file of the same e-mail is replaced.

    Raises:
        OSError: The file cannot be written.
        OperatorError: Another process writes the file, or it belongs to another user.
    """
    write_text(folder / _file_name(message), message.as_bytes(), is_private=True)


def _file_name(message: EmailMessage) -> str:
    """Return a file name that begins with the date, for sorting."""
    date = parsedate_to_datetime(message["Date"])
    message_id = re.sub(r"\W", "", message["Message-ID"].partition("@")[0])
    return f"{date:%Y%m%dT%H%M%S}-{message_id}{EML_SUFFIX}"
