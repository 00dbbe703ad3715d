"""Log file of development, which coding agents read through `oppman.py mcp`."""

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

from opportune.db.drivers.sqlite_file import make_private
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT

PATH = PROJECT / "data" / "development.log"
MAX_FILE_BYTES = 1_000_000


class LogFile(RotatingFileHandler):
    """Private file that is renamed when it is full."""

    def rotate(self, source: str, dest: str) -> None:
        os.replace(source, dest)  # noqa: PTH105 - the handler passes texts
        make_private(Path(source))

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore a full disk or a file of another user. Standard error has each line, and needs no traceback."""


def open_log_file() -> logging.Handler:
    """Return a handler that writes the file, or one that does nothing if the file cannot be created.

    Only this user can read the file, because it contains data of the site.
    """
    try:
        make_private(PATH)
    except OperatorError:
        return logging.NullHandler()
    return LogFile(PATH, maxBytes=MAX_FILE_BYTES, backupCount=1, encoding="utf-8", delay=True)
