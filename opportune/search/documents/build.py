"""From a source to an index, by way of the spool."""

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
"""Shows how far it is: what is done, and its number of steps."""


class Built(NamedTuple):
    entries: int
    left_out: dict[str, str]
    """What could not be read, and why."""
    resumed: int
    """How many batches an interrupted run had read already."""


def build(index: IndexDefinition[Any], source: Source, url: DatabaseURL, show: Progress) -> Built:
    """Make the index anew. Until that is done the old one serves; when interrupted, the next run goes on.

    Raises:
        OperatorError: there is nothing to read, nowhere to write, or another run is at it.
    """
    store = store_of(index, url)
    try:
        with _alone(store), Spool.opened(store.spool, index.document, store.advice) as spool:
            store.prepare()
            resumed = _read(source, spool, show)
            documents, left_out = spool.read()
            contents = Contents.of(source.title, documents, len(left_out))
            if not contents.entries:
                raise OperatorError(f"{source.title} holds nothing that could be indexed; the index stays as it is.")
            with show("Writing", len(contents.entries)) as bar:
                store.write(contents, bar.advance)
    except Error as error:
        raise OperatorError(f"{store.spool} cannot be written ({error}). Is its disk full?") from error
    discard(store.spool)
    return Built(len(contents.entries), left_out, resumed)


def _alone(store: Store) -> AbstractContextManager[object]:
    """Two runs would read the same; the second is told so."""
    make_private(store.spool, store.advice)
    return private_file(store.spool.with_suffix(".lock"))


def _read(source: Source, spool: Spool, show: Progress) -> int:
    batches = source.batches()
    missing = spool.missing(batches)
    with show("Reading", len(batches)) as bar, closing(source.read(missing)) as reading:
        bar.advance(len(batches) - len(missing))
        for batch, found in reading:
            spool.keep(batch, found)
            bar.advance(1)
    return len(batches) - len(missing)
