"""How routes get the index. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends, Query, Request

from app.pydocs.service import Search
from opportune.pagination import Paging


class Words(Paging):
    """Any text may be asked for; `Results.query` tells what was looked at."""

    q: str = ""


async def index(request: Request) -> Search:
    search: Search = request.app.state.pydocs
    return search


Index = Annotated[Search, Depends(index)]
Asked = Annotated[Words, Query()]
