from typing import Annotated

from fastapi import APIRouter, Query

from app.pydocs.documents import Index
from app.pydocs.schemas import EntryRead, SearchHit
from opportune.search import SearchQuery, SearchResults

router = APIRouter(prefix="/pydocs", tags=["pydocs"])


@router.get("/search")
async def search(index: Index, asked: Annotated[SearchQuery, Query()]) -> SearchResults[SearchHit]:
    """Symbols and sections, the best first; the last word may be unfinished. A long query is cut."""
    return await index.find(asked.q, limit=asked.size, page=asked.page)


@router.get("/entries/{slug:path}")
async def entry(index: Index, slug: str) -> EntryRead:
    return EntryRead.of(await index.get(slug))
