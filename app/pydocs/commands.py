"""Index Python's documentation for the search at /pydocs."""

from app.pydocs.documents import python_docs
from app.pydocs.sources.python import PythonSource
from app.pydocs.sources.sphinx import SphinxSource

command = python_docs.commands(
    lambda folder: SphinxSource(folder) if folder else PythonSource(),
    of_folder="HTML pages built by Sphinx, with their objects.inv.",  # not translated
)
