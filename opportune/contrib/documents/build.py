"""Build of an index: documents are read from a source, then written to the store of the database."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import Any, NamedTuple

from opportune import progress
from opportune.contrib.documents.definition import IndexDefinition
from opportune.contrib.documents.document import Contents, Document, Source
from opportune.contrib.documents.postgresql_store import PostgreSQLStore
from opportune.contrib.documents.sqlite_store import SQLiteStore
from opportune.contrib.documents.store import Store
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError

Progress = Callable[[str, int], AbstractContextManager[progress.Progress]]
"""Shows the progress of a step, given its name and number of items."""


class BuildResult(NamedTuple):
    """Result of a build.

    Attributes:
        entries: Number of documents.
        skipped: Reasons by name of batches that could not be read.
    """

    entries: int
    skipped: dict[str, str]


def store_of(index: IndexDefinition[Any], url: DatabaseUrl) -> Store:
    if url.kind == "postgresql":
        return PostgreSQLStore(index, url)
    return SQLiteStore(index, url)


def build(index: IndexDefinition[Any], source: Source, url: DatabaseUrl, show_progress: Progress) -> BuildResult:
    """Build an index. The old one is used until the new one is complete.

    Raises:
        OperatorError: There is nothing to read, or the target is not writable.
    """
    store = store_of(index, url)
    store.prepare()
    documents, skipped = _read_source(source, show_progress)
    contents = Contents.from_documents(source.title, documents, len(skipped))
    if not contents.entries:
        raise OperatorError(f"{source.title} contains nothing to index. The index is unchanged.")
    with show_progress("Writing", len(contents.entries)) as bar:
        store.write(contents, bar.advance)
    return BuildResult(len(contents.entries), skipped)


def _read_source(source: Source, show_progress: Progress) -> tuple[list[Document], dict[str, str]]:
    """Return all documents, and the reasons for skipped batches by name."""
    documents, skipped, batches = list[Document](), dict[str, str](), source.batches()
    with show_progress("Reading", len(batches)) as bar, closing(source.read(batches)) as results:
        for name, result in results:
            if isinstance(result, str):
                skipped[name] = result
            else:
                documents += result
            bar.advance(1)
    return documents, skipped
