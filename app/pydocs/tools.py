"""What a language model may look up, and what is looked up before one that calls no tools."""

from collections.abc import Sequence

from markupsafe import Markup

from app.pydocs.dependencies import Index
from app.pydocs.schemas import EntryRead
from opportune.search import passage
from opportune.tools import Source


async def search_python_docs(index: Index, words: str) -> Sequence[Source]:
    """Search Python's documentation for a name, words or a question."""
    found = [(hit, await read_python_docs(index, hit.slug)) for hit in await index.find_related(words)]
    return [
        source.model_copy(update={"text": passage(source.text, words), "fit": hit.similarity}) for hit, source in found
    ]


async def read_python_docs(index: Index, slug: str) -> Source:
    """Read an entry of Python's documentation by what follows /pydocs/ in its address."""
    entry = EntryRead.of(await index.get(slug))
    body = Markup(entry.body_html).striptags()  # noqa: S704 - cleaned when it was indexed
    return Source(title=entry.name, url=entry.url, text=f"{entry.name}{entry.signature}\n{body}")
