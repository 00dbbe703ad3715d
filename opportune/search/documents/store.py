"""Where an index is written."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opportune.db.url.database_url import DatabaseURL
from opportune.search.documents import definition
from opportune.search.documents.contents import Contents
from opportune.search.documents.definition import IndexDefinition

if TYPE_CHECKING:
    from collections.abc import Callable


class Store(ABC):
    """What is there serves until what is written is whole."""

    def __init__(self, index: IndexDefinition[Any], url: DatabaseURL) -> None:
        self.index = index
        self.url = url
        self.advice = f"Set {index.setting}."
        """For who has no right to write there."""

    @property
    def spool(self) -> Path:
        """The file for what has been read so far."""
        if self.url.kind == "postgresql":
            return definition.FOLDER / f"{self.index.name}-postgresql.part"
        return self.url.path.with_name(f"{self.url.path.name}.part")

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
