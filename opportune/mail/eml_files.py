"""E-mails as `.eml` files, which every mail program opens."""

import re
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from opportune.runtime.atomic_files import replacement

SUFFIX = ".eml"


def write_eml(folder: Path, message: EmailMessage) -> None:
    """Write an e-mail into a folder, whole or not at all. The same one again takes the place of the first.

    Raises:
        OSError, OperatorError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replacement(folder / _name(message)) as file:
        file.write(message.as_bytes())


def _name(message: EmailMessage) -> str:
    """Sorted by name they are sorted by age."""
    written = parsedate_to_datetime(message["Date"])
    number = re.sub(r"\W", "", message["Message-ID"].partition("@")[0])
    return f"{written:%Y%m%dT%H%M%S}-{number}{SUFFIX}"
