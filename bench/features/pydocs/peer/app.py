"""The search of pydocs on its file, through plain SQLAlchemy: FastAPI's and SQLAlchemy's own guides, under `uvicorn`.

The statements, what is made of their rows and the template are the site's own, so that what differs is the rest.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from jinja2_fragments.fastapi import Jinja2Blocks
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from app.pydocs.engines.engine import Fields
from app.pydocs.engines.sqlite import SQLiteEngine
from app.pydocs.schemas import MAX_RANKED_HITS
from app.pydocs.service import Search
from opportune.db.url.database_url import DatabaseURL
from opportune.project import PROJECT
from opportune.settings import Settings

FILE = os.environ["BENCH_INDEX"]

engine = create_async_engine(f"sqlite+aiosqlite:///{FILE}")
sessions = async_sessionmaker(engine, expire_on_commit=False)
templates = Jinja2Blocks(directory=PROJECT / "templates")


class OnDisk(SQLiteEngine):
    async def ask(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Fields]:
        async with sessions() as session:
            return (await session.execute(statement, values)).mappings().all()


app = FastAPI()
index = Search(OnDisk(DatabaseURL.parse(f"sqlite:///{FILE}"), Settings(_env_file=None)))


@app.get("/pydocs")
async def search(request: Request, q: str = "", page: int = 1) -> Response:
    context = {"results": await index.find(q, page=page), "deepest": MAX_RANKED_HITS}
    return templates.TemplateResponse(request, "pydocs/search.html", context, block_name="found")
