"""Writing of text files that `deploy init` updates."""

from pathlib import Path

from opportune.errors import OperatorError
from opportune.project import text_files


def write_deploy_file(path: Path, text: str, *, is_private: bool = False) -> None:
    """Write a file atomically, with the line breaks of the existing one. A new private file is only for its owner."""
    try:
        text_files.write_text(path, text, is_private=is_private)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}): make its folder writable.") from None
