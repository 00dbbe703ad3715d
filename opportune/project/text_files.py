"""Text files that users and editors write."""

import os
from pathlib import Path

from opportune.errors import OperatorError
from opportune.project.atomic_files import copy_owner, file_mode_mask, open_replacement, temporary_path


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


def write_text(path: Path, text: str | bytes, *, is_private: bool = False) -> None:
    """Write a file completely or not at all. An existing one keeps its line breaks, its owner and its mode.

    A new private file is only for its owner. Devices, and files in folders that cannot be written, are overwritten.

    Raises:
        OSError: The file cannot be written.
        OperatorError: Another process writes it.
    """
    content = text if isinstance(text, bytes) else text.replace("\n", line_break_of(path)).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _replace(path.resolve(), content, is_private=is_private)  # keeps a symbolic link
    except OSError as error:
        error.filename = str(path)  # not that of the temporary file
        raise


def _replace(path: Path, content: bytes, *, is_private: bool) -> None:
    if (path.exists() and not path.is_file()) or not os.access(path.parent, os.W_OK):
        path.write_bytes(content)
        return
    with open_replacement(path) as file:
        file.write(content)
        if path.exists():
            copy_owner(path, temporary_path(path))
        elif not is_private:
            temporary_path(path).chmod(0o666 & ~file_mode_mask())


def line_break_of(path: Path) -> str:
    """Return the line break of a file, so that a change keeps it. New files have line feeds."""
    return "\r\n" if path.exists() and b"\r\n" in path.read_bytes() else "\n"
