"""Tools for language models. A model that cannot call tools gets the search results as context."""

from collections.abc import Sequence

from app.pydocs.documents import Index
from app.pydocs.schemas import EntryRead
from opportune.contrib.tools import Source
from opportune.search import passage


async def search_python_docs(index: Index, words: str) -> Sequence[Source]:
    """Search Python's documentation for a name, words or a question."""
    sources = []
    for hit in await index.find_related(words):
        source = await read_python_docs(index, hit.slug)
        sources.append(source.model_copy(update={"text": passage(source.text, words), "fit": hit.similarity}))
    return sources


async def read_python_docs(index: Index, slug: str) -> Source:
    """Read an entry of Python's documentation by its slug, the part of its URL after /pydocs/."""
    entry = EntryRead.of(await index.get(slug))
    return Source(title=entry.name, url=entry.url, text=entry.text)
