"""Where an index is written."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from app.pydocs.index.contents import Contents
from opportune.db.url.database_url import DatabaseURL
from opportune.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable


class Store(ABC):
    """What is there serves until what is written is whole."""

    def __init__(self, url: DatabaseURL) -> None:
        self.url = url

    @property
    def spool(self) -> Path:
        """The file for what has been read so far."""
        folder, name = (self.url.path.parent, self.url.path.name) if self.url.kind != "postgresql" else FOLDER
        return folder / f"{name}.part"

    @abstractmethod
    def prepare(self) -> None:
        """Make sure that it can be written: reading takes long.

        Raises:
            OperatorError: the database is away, or not ours to write.
        """

    @abstractmethod
    def write(self, contents: Contents, step: "Callable[[int], None]") -> None:
        """Put this in the place of what is there; `step` is told how many entries were written since it was last.

        Raises:
            OperatorError: as above, or its disk is full.
        """

    @abstractmethod
    def clear(self) -> bool:
        """Remove the index; false if there is none.

        Raises:
            OperatorError: as above.
        """


FOLDER = PROJECT / "data", "pydocs-postgresql"


def store_of(url: DatabaseURL) -> Store:
    if url.kind == "postgresql":
        from app.pydocs.index.postgresql import PostgreSQLStore  # noqa: PLC0415 - psycopg, for those with one

        return PostgreSQLStore(url)
    from app.pydocs.index.sqlite import SQLiteStore  # noqa: PLC0415 - the other one

    return SQLiteStore(url)
