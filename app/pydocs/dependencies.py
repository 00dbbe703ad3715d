"""How routes get the index. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends, Query, Request

from app.pydocs.schemas import SearchHit
from opportune.search import DocumentSearch, SearchQuery


async def index(request: Request) -> DocumentSearch[SearchHit]:
    search: DocumentSearch[SearchHit] = request.app.state.pydocs
    return search


Index = Annotated[DocumentSearch[SearchHit], Depends(index)]
Asked = Annotated[SearchQuery, Query()]
