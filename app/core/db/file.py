"""The file of a SQLite database, made before SQLite would make it readable for everybody."""

from pathlib import Path

from app.core.errors import OperatorError


def make_private(path: Path) -> None:
    """Make the file and its folder for this user alone. What is there stays as it is.

    Raises:
        OperatorError: they cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"The folder {path.parent} cannot be made ({error.strerror}). Set DATABASE_URL.") from error
    try:
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise OperatorError(f"The file {path} cannot be made ({error.strerror}). Set DATABASE_URL.") from error
