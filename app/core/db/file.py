"""The file of a SQLite database."""

from pathlib import Path

from app.core.errors import OperatorError

HEADER = b"SQLite format 3\0"


def is_database(path: Path) -> bool:
    """Whether SQLite would open it: its own, or an empty one."""
    with path.open("rb") as file:
        return file.read(len(HEADER)) in (HEADER, b"")


def make_private(path: Path, advice: str = "Set DATABASE_URL.") -> None:
    """Make the file and its folder for this user alone, before SQLite would make it readable for everybody.

    What is there stays as it is.

    Raises:
        OperatorError: they cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"The folder {path.parent} cannot be made ({error.strerror}). {advice}") from error
    try:
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise OperatorError(f"The file {path} cannot be made ({error.strerror}). {advice}") from error
