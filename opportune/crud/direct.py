"""What FastAPI gives the routes of a list and of a new row, read without it: that is a third of what a list takes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect

from opportune.accounts.dependencies import get_optional_user, sign_in_required
from opportune.crud.access import Access
from opportune.crud.crud import Crud
from opportune.crud.dependencies import open_crud
from opportune.pagination import Paging


@asynccontextmanager
async def opened(kind: type[Crud[Any]], request: Request, *, writes: bool) -> AsyncIterator[Crud[Any]]:
    """What `reading(kind)` and `writing(kind)` give a route."""
    access = kind.definition.write_access if writes else kind.definition.read_access
    user = await get_optional_user(request)
    if user is None and access is not Access.ANYONE:
        raise sign_in_required(request)
    database = request.app.state.database
    async with database.writer() if writes else database.reader() as session:
        yield await open_crud(kind, request, session, user)


def read_wanted(kind: type[Crud[Any]], sent: QueryParams) -> Paging | None:
    """The query of a list, or None where FastAPI has to look at it."""
    found: dict[str, Any] = {}
    if sent:
        filters = kind.definition.filters
        if kind.filter_schema or not sent.keys() <= Paging.model_fields.keys() | filters.keys():
            return None
        for name in sent:
            found[name] = sent.getlist(name) if name in filters and filters[name].takes_many else sent[name]
    try:
        return kind.Filter.model_validate(found)
    except ValidationError:
        return None


async def read_new(schema: type[BaseModel], request: Request) -> BaseModel | None:
    """What a body of JSON says, or None where FastAPI has to look at it."""
    if request.headers.get("content-type") != "application/json":
        return None
    try:
        return schema.model_validate(json.loads(await request.body()))
    except (ValueError, RecursionError, ClientDisconnect):  # pydantic's ValidationError too
        return None
