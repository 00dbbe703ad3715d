"""Build of an index: documents are read from a source into the spool, then written to the store."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from sqlite3 import Error
from typing import Any, NamedTuple

from opportune.db.drivers.sqlite_file import discard, make_private
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.runtime import progress
from opportune.runtime.atomic_files import private_file
from opportune.search.documents.contents import Contents
from opportune.search.documents.definition import IndexDefinition
from opportune.search.documents.document import Source
from opportune.search.documents.spool import Spool
from opportune.search.documents.store import Store
from opportune.search.documents.stores import store_of

Progress = Callable[[str, int], AbstractContextManager[progress.Progress]]
"""Shows the progress of a step, given its name and number of items."""


class Built(NamedTuple):
    """Result of a build.

    Attributes:
        entries: Number of documents.
        left_out: Reasons by name of batches that could not be read.
        resumed: Number of batches that an interrupted run had already read.
    """

    entries: int
    left_out: dict[str, str]
    resumed: int


def build(index: IndexDefinition[Any], source: Source, url: DatabaseURL, show: Progress) -> Built:
    """Build an index. The old one is used until the new one is complete. An interrupted build is resumed.

    Raises:
        OperatorError: There is nothing to read, the target is not writable, or another build is running.
    """
    store = store_of(index, url)
    try:
        with _alone(store), Spool.opened(store.spool, index.document, store.advice) as spool:
            store.prepare()
            resumed = _read(source, spool, show)
            documents, left_out = spool.read()
            contents = Contents.of(source.title, documents, len(left_out))
            if not contents.entries:
                raise OperatorError(f"{source.title} contains nothing to index. The index is unchanged.")
            with show("Writing", len(contents.entries)) as bar:
                store.write(contents, bar.advance)
    except Error as error:
        raise OperatorError(f"{store.spool} cannot be written ({error}). Is its disk full?") from error
    discard(store.spool)
    return Built(len(contents.entries), left_out, resumed)


def _alone(store: Store) -> AbstractContextManager[object]:
    """Lock the spool, so that a second build fails."""
    make_private(store.spool, store.advice)
    return private_file(store.spool.with_suffix(".lock"))


def _read(source: Source, spool: Spool, show: Progress) -> int:
    batches = source.batches()
    missing = spool.missing(batches)
    with show("Reading", len(batches)) as bar, closing(source.read(missing)) as results:
        bar.advance(len(batches) - len(missing))
        for batch, result in results:
            spool.put(batch, result)
            bar.advance(1)
    return len(batches) - len(missing)
