"""Build of an index: documents are read from a source into a spool file, then written to the store.

The spool keeps the documents of an interrupted build, so that the next one resumes.
"""

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


class BuildResult(NamedTuple):
    """Result of a build.

    Attributes:
        entries: Number of documents.
        skipped: Reasons by name of batches that could not be read.
        resumed: Number of batches that an interrupted run had already read.
    """

    entries: int
    skipped: dict[str, str]
    resumed: int


def build(index: IndexDefinition[Any], source: Source, url: DatabaseURL, show_progress: Progress) -> BuildResult:
    """Build an index. The old one is used until the new one is complete. An interrupted build is resumed.

    Raises:
        OperatorError: There is nothing to read, the target is not writable, or another build is running.
    """
    store = store_of(index, url)
    try:
        with _lock_spool(store), Spool.open(store.spool, index.document, store.advice) as spool:
            store.prepare()
            resumed = _read_source(source, spool, show_progress)
            documents, skipped = spool.read()
            contents = Contents.from_documents(source.title, documents, len(skipped))
            if not contents.entries:
                raise OperatorError(f"{source.title} contains nothing to index. The index is unchanged.")
            with show_progress("Writing", len(contents.entries)) as bar:
                store.write(contents, bar.advance)
    except Error as error:
        raise OperatorError(f"{store.spool} cannot be written ({error}). Is its disk full?") from error
    discard(store.spool)
    return BuildResult(len(contents.entries), skipped, resumed)


def _lock_spool(store: Store) -> AbstractContextManager[object]:
    """Lock the spool, so that a second build fails."""
    make_private(store.spool, store.advice)
    return private_file(store.spool.with_suffix(".lock"))


def _read_source(source: Source, spool: Spool, show_progress: Progress) -> int:
    batches = source.batches()
    unread = spool.find_unread(batches)
    with show_progress("Reading", len(batches)) as bar, closing(source.read(unread)) as results:
        bar.advance(len(batches) - len(unread))
        for batch, result in results:
            spool.store_batch(batch, result)
            bar.advance(1)
    return len(batches) - len(unread)
