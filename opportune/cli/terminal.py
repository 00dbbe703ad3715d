"""Width and colours of the terminal, and safe printing. Imports little, because the help starts with it."""

import os
import shutil
import sys
from textwrap import wrap

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def has_colours(stream: object = None) -> bool:
    """Return True if the stream is a terminal with colours. NO_COLOR, FORCE_COLOR and TERM=dumb are respected."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def is_terminal(stream: object = None) -> bool:
    """Return True if the stream, by default standard output, is a terminal."""
    isatty = getattr(sys.stdout if stream is None else stream, "isatty", None)
    return bool(isatty and isatty())


def columns() -> int:
    """Return the width of the terminal; 0 without a terminal."""
    return shutil.get_terminal_size().columns if is_terminal() else 0


def styled(text: str, style: str, stream: object = None) -> str:
    """Return the text in a style of `CODES` if the stream has colours."""
    return f"\x1b[{CODES[style]}m{text}\x1b[0m" if has_colours(stream) else text


def printable(text: str) -> str:
    """Replace control characters, which file names and responses of servers may contain."""
    return "".join(character if character.isprintable() else "?" for character in text)


def fold(text: str, width: int) -> list[str]:
    """Wrap the text into lines of at most this width; 0 for a single line."""
    return wrap(text, width or sys.maxsize, break_long_words=False, break_on_hyphens=False) or [""]
