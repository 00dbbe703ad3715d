"""The terminal that a command speaks to: how wide it is, whether it has colours, and what it must not obey.

Imports next to nothing, as the help needs it before anything else.
"""

import os
import sys

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def has_colours(stream: object = None) -> bool:
    """Tell if a stream shows colours: a terminal does, unless NO_COLOR or TERM=dumb; FORCE_COLOR makes any."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def is_terminal(stream: object = None) -> bool:
    """Tell if a stream is a terminal; standard output by default."""
    isatty = getattr(sys.stdout if stream is None else stream, "isatty", None)
    return bool(isatty and isatty())


def columns() -> int:
    """The width of the terminal; 0 where there is none, and nothing has to fit."""
    if not is_terminal():
        return 0
    try:
        return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def styled(text: str, style: str, stream: object = None) -> str:
    """The text in a style of `CODES`, where the stream shows colours."""
    return f"\x1b[{CODES[style]}m{text}\x1b[0m" if has_colours(stream) else text


def printable(text: str) -> str:
    """The text without what a terminal obeys: names of files and words of servers may hold such."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def fold(text: str, width: int) -> list[str]:
    """The words as lines of at most that width, where it is not 0."""
    lines: list[str] = []
    for word in text.split():
        if lines and (not width or len(lines[-1]) + 1 + len(word) <= width):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]
