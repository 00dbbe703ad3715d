"""From the start of the application to its end: the index, which nothing is read of before somebody asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.pydocs.engines.opening import open_engine
from app.pydocs.service import Search


@asynccontextmanager
async def searching(app: FastAPI) -> AsyncIterator[None]:
    app.state.pydocs = search = Search(open_engine(app.state.settings, app.state.database))
    try:
        yield
    finally:
        await search.close()
