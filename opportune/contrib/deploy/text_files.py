"""Text files of a project that `deploy init` updates."""

import os
from pathlib import Path

from opportune.errors import OperatorError
from opportune.project.atomic_files import file_mode_mask, open_replacement


def read_text(path: Path) -> str:
    """Return the text of a file without its byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    raise OperatorError(f"{path} cannot be read ({reason}): move it away.")


def write_text(path: Path, text: str, *, is_private: bool = False) -> None:
    """Write a file atomically, with the line breaks of the existing one. A new private file is only for its owner."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if is_private else 0o666 & ~file_mode_mask()
        if path.exists():
            mode = path.stat().st_mode & 0o777
            if b"\r\n" in path.read_bytes():
                text = text.replace("\n", "\r\n")
        with open_replacement(path) as file:
            file.write(text.encode())
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}): make its folder writable.") from None
