from typing import Annotated

from fastapi import Query

from app.pydocs.documents import Index
from app.pydocs.schemas import EntryRead, SearchHit
from opportune.search import SearchQuery, SearchResults
from opportune.web import APIRouter

router = APIRouter(prefix="/pydocs", tags=["pydocs"])


@router.get("/search")
async def search(index: Index, query: Annotated[SearchQuery, Query()]) -> SearchResults[SearchHit]:
    """Search symbols and sections, the best first. The last word may be incomplete. Long queries are cut."""
    return await index.find(query.q, limit=query.size, page=query.page)


@router.get("/entries/{slug:path}")
async def entry(index: Index, slug: str) -> EntryRead:
    return EntryRead.of(await index.get(slug))
