"""How routes get the index. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends, Query, Request

from app.pydocs.schemas import SearchHit
from opportune.pagination import Paging
from opportune.search import DocumentSearch


class Words(Paging):
    """Any text may be asked for; `SearchResults.query` tells what was looked at."""

    q: str = ""


async def index(request: Request) -> DocumentSearch[SearchHit]:
    search: DocumentSearch[SearchHit] = request.app.state.pydocs
    return search


Index = Annotated[DocumentSearch[SearchHit], Depends(index)]
Asked = Annotated[Words, Query()]
