"""Development mailbox: sent e-mails in a folder that all processes share."""

import logging
import re
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import NamedTuple

from opportune.errors import OperatorError, require_found
from opportune.mail.attachment import Attachment
from opportune.mail.parts import split_message
from opportune.mail.transport import EML_SUFFIX, write_eml
from opportune.project.layout import PROJECT

logger = logging.getLogger("opportune.mail")

FOLDER = PROJECT / "data" / "mailbox"
MAX_STORED_MESSAGES = 100
"""Older e-mails are deleted."""

PICTURE = re.compile(r"cid:([\w.@+-]+)")
MESSAGE_NAME = re.compile(r"\d{8}T\d{6}-\w{1,100}")


class StoredMessage(NamedTuple):
    """An e-mail in the mailbox."""

    name: str
    message: EmailMessage

    @property
    def date(self) -> datetime | None:
        header = self.message["Date"]
        return header.datetime if header else None

    def header(self, name: str) -> str:
        return str(self.message[name] or "")

    def body(self, subtype: str) -> str:
        """Return the `plain` or the `html` body; empty if it is missing."""
        part = self.message.get_body((subtype,))
        return str(part.get_content()) if part else ""

    @property
    def files(self) -> list[Attachment]:
        return split_message(self.message).attachments

    @property
    def html(self) -> str:
        """The HTML with its embedded pictures as `data:` addresses; empty if it is missing."""
        pictures = {file.content_id: f"data:{file.content_type};base64,{file.base64}" for file in self.files}
        return PICTURE.sub(lambda match: pictures.get(match[1], match[0]), self.body("html"))


def store_message(message: EmailMessage) -> None:
    """Store a sent e-mail. Errors are only logged, because after an exception the job would send the e-mail again."""
    try:
        write_eml(FOLDER, message)
        for path in _newest_paths()[MAX_STORED_MESSAGES:]:
            path.unlink(missing_ok=True)
    except (OSError, OperatorError) as error:
        logger.warning("the mailbox cannot be written: %s", error)


def list_messages() -> list[StoredMessage]:
    """Return all stored e-mails, the newest first."""
    return [message for path in _newest_paths() if (message := _read_message(path))]


def find_message(name: str) -> StoredMessage:
    """Return a stored e-mail by its name.

    Raises:
        NotFound: It does not exist.
    """
    return require_found(_read_message(FOLDER / f"{name}{EML_SUFFIX}") if MESSAGE_NAME.fullmatch(name) else None)


def _newest_paths() -> list[Path]:
    return sorted(FOLDER.glob(f"*{EML_SUFFIX}"), reverse=True)


def _read_message(path: Path) -> StoredMessage | None:
    try:
        message = message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=default)
    except FileNotFoundError:  # another process has deleted it
        return None
    return StoredMessage(path.stem, message)
