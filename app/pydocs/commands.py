"""Index Python's documentation for the search at /pydocs."""

from pathlib import Path

from app.pydocs.documents import python_docs
from app.pydocs.sources.python import PythonSource
from app.pydocs.sources.sphinx import SphinxSource
from opportune.search import Source


def source_of(folder: Path | None) -> Source:
    return SphinxSource(folder) if folder else PythonSource()


command = python_docs.commands(source_of, of_folder="HTML pages that Sphinx made, with their objects.inv.")
