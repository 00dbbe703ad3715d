"""Text files that users and editors write."""

from pathlib import Path

from opportune.errors import OperatorError


def read_text(path: Path) -> str:
    """Return the text of a file without its byte order mark.

    Raises:
        OperatorError: The file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise OperatorError(f"{path} cannot be read: it is not UTF-8. Save it as UTF-8.") from None


def line_break_of(path: Path) -> str:
    """Return the line break of a file, so that a change keeps it. New files have line feeds."""
    return "\r\n" if path.exists() and b"\r\n" in path.read_bytes() else "\n"
