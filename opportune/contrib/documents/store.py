"""Interface of writable indexes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from opportune.contrib.documents.definition import IndexDefinition
from opportune.contrib.documents.document import Contents
from opportune.db.url.database_url import DatabaseUrl


class Store(ABC):
    """Index to write, in one of the databases. Searches use the old one until the new one is complete."""

    def __init__(self, index: IndexDefinition[Any], url: DatabaseUrl) -> None:
        self.index = index
        self.url = url

    @abstractmethod
    def prepare(self) -> None:
        """Check that the index is writable, before the source is read.

        Raises:
            OperatorError: The database is not available or not writable.
        """

    @abstractmethod
    def write(self, contents: Contents, advance: Callable[[int], None]) -> None:
        """Replace the index. `advance` is called with the number of entries of each batch.

        Raises:
            OperatorError: As `prepare`, or the disk is full.
        """

    @abstractmethod
    def clear(self) -> bool:
        """Remove the index. Return False if there is none.

        Raises:
            OperatorError: As `prepare`.
        """
