"""Creates an index of 20,000 entries in the file BENCH_INDEX, and prints their names."""

import os
from collections.abc import Iterator
from dataclasses import replace

from app.pydocs.documents import Entry, python_docs
from app.pydocs.sources.python import PythonSource
from opportune.contrib.documents.build import Contents
from opportune.contrib.documents.databases import store_of
from opportune.db import DatabaseUrl

INDEX_ENTRIES = 20_000


def pieces() -> Iterator[Entry]:
    """Return the entries of Python, repeated under other names up to INDEX_ENTRIES."""
    source = PythonSource()
    pieces_by_slug = {
        piece.slug: piece for _, batch in source.read(source.batches()) if isinstance(batch, list) for piece in batch
    }
    originals = list(pieces_by_slug.values())[:INDEX_ENTRIES]
    yield from originals
    for piece in originals[: INDEX_ENTRIES - len(originals)]:
        yield replace(piece, slug=f"more.{piece.slug}", name=f"more.{piece.name}", parent=f"more.{piece.parent}")


if __name__ == "__main__":
    contents = Contents.from_documents(PythonSource.title, pieces(), skipped=0)
    assert len(contents.entries) == INDEX_ENTRIES
    store = store_of(python_docs, DatabaseUrl.parse(f"sqlite:///{os.environ['BENCH_INDEX']}"))
    store.prepare()
    store.write(contents, lambda _: None)
    print("\n".join(entry.document.name for entry in contents.entries))
