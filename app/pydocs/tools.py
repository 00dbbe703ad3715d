"""What a language model may look up."""

from collections.abc import Sequence

from app.pydocs.dependencies import Index
from app.pydocs.schemas import EntryLink, EntryRead


async def search_python_docs(index: Index, words: str) -> Sequence[EntryLink]:
    """Search Python's documentation for a name or words; what is found has a slug to read it by."""
    found = await index.find(words, limit=8, page=1)
    return found.items


async def read_python_docs(index: Index, slug: str) -> EntryRead:
    """Read an entry of Python's documentation."""
    return EntryRead.of(await index.get(slug))
