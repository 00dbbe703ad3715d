"""E-mails as `.eml` files, which mail programs can open."""

import re
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from opportune.project.atomic_files import open_replacement

SUFFIX = ".eml"


def write_eml(folder: Path, message: EmailMessage) -> None:
    """Write an e-mail into a folder atomically. An existing file of the same e-mail is replaced.

    Raises:
        OSError: The file cannot be written.
        OperatorError: Another process writes the file, or it belongs to another user.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open_replacement(folder / _file_name(message)) as file:
        file.write(message.as_bytes())


def _file_name(message: EmailMessage) -> str:
    """Return a file name that begins with the date, for sorting."""
    date = parsedate_to_datetime(message["Date"])
    message_id = re.sub(r"\W", "", message["Message-ID"].partition("@")[0])
    return f"{date:%Y%m%dT%H%M%S}-{message_id}{SUFFIX}"
