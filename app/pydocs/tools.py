"""What a language model may look up, and what is looked up before one that calls no tools."""

from collections.abc import Sequence

from app.pydocs.documents import Index
from app.pydocs.schemas import EntryRead
from opportune.llm.tools import Source
from opportune.search import passage


async def search_python_docs(index: Index, words: str) -> Sequence[Source]:
    """Search Python's documentation for a name, words or a question."""
    found = [(hit, await read_python_docs(index, hit.slug)) for hit in await index.find_related(words)]
    return [each.model_copy(update={"text": passage(each.text, words), "fit": hit.similarity}) for hit, each in found]


async def read_python_docs(index: Index, slug: str) -> Source:
    """Read an entry of Python's documentation by what follows /pydocs/ in its address."""
    entry = EntryRead.of(await index.get(slug))
    return Source(title=entry.name, url=entry.url, text=entry.text)
