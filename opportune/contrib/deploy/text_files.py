"""Writing of text files that `deploy init` updates."""

import os
from pathlib import Path

from opportune.errors import OperatorError
from opportune.project.atomic_files import file_mode_mask, open_replacement
from opportune.project.text_files import line_break_of


def write_text(path: Path, text: str, *, is_private: bool = False) -> None:
    """Write a file atomically, with the line breaks of the existing one. A new private file is only for its owner."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if is_private else 0o666 & ~file_mode_mask()
        if path.exists():
            mode = path.stat().st_mode & 0o777
        with open_replacement(path) as file:
            file.write(text.replace("\n", line_break_of(path)).encode())
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}): make its folder writable.") from None
