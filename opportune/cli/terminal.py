"""Width and colours of the terminal, and safe printing. Imports little, because the help starts with it."""

import os
import sys

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
    if not is_terminal():
        return 0
    try:
        return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def styled(text: str, style: str, stream: object = None) -> str:
    """Return the text in a style of `CODES` if the stream has colours."""
    return f"\x1b[{CODES[style]}m{text}\x1b[0m" if has_colours(stream) else text


def printable(text: str) -> str:
    """Replace control characters, which file names and responses of servers may contain."""
    return "".join(character if character.isprintable() else "?" for character in text)


def fold(text: str, width: int) -> list[str]:
    """Wrap the text into lines of at most this width; 0 for a single line."""
    lines: list[str] = []
    for word in text.split():
        if lines and (not width or len(lines[-1]) + 1 + len(word) <= width):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]
