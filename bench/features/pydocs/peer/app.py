"""The search of pydocs through plain SQLAlchemy on the same file, written as in the guides of FastAPI and SQLAlchemy.

Statements, processing of rows and template are those of the site, so that only the rest differs. As a program, it
creates an index in the file BENCH_INDEX with as many entries as its argument says, and prints their names.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response
from jinja2 import FileSystemLoader
from jinja2_fragments.fastapi import Jinja2Blocks
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from typing_extensions import override

from app.pydocs.documents import Entry, python_docs
from app.pydocs.sources.python import PythonSource
from opportune.config.settings import Settings
from opportune.contrib.documents import MAX_RANKED_HITS, DocumentSearch
from opportune.contrib.documents.build import Contents
from opportune.contrib.documents.databases import store_of
from opportune.contrib.documents.document import Fields
from opportune.contrib.documents.sqlite import SQLiteEngine
from opportune.db import DatabaseUrl
from opportune.project.layout import FRAMEWORK, PROJECT
from opportune.web import assets
from opportune.web.rendering.environment import TemplateEnvironment

FILE = os.environ["BENCH_INDEX"]

engine = create_async_engine(f"sqlite+aiosqlite:///{FILE}")
sessions = async_sessionmaker(engine, expire_on_commit=False)
loader = FileSystemLoader([PROJECT / "templates", FRAMEWORK / "templates"])
templates = Jinja2Blocks(env=TemplateEnvironment(loader=loader, autoescape=True))
templates.env.globals["asset"] = assets.url
app = FastAPI()


class OnDisk(SQLiteEngine):
    @override
    async def rows(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Fields]:
        async with sessions() as session:
            return [*(await session.execute(statement, values)).mappings()]


index = DocumentSearch(
    python_docs, lambda: OnDisk(python_docs, DatabaseUrl.parse(f"sqlite:///{FILE}"), Settings(_env_file=None))
)


@app.get("/pydocs")
async def search(request: Request, q: str = "", page: int = 1) -> Response:
    context = {"results": await index.find(q, page=page), "max_hits": MAX_RANKED_HITS}
    return templates.TemplateResponse(request, "pydocs/search.html", context, block_name="found")


def pieces(count: int) -> Iterator[Entry]:
    """Return the entries of Python, repeated under other names up to this count."""
    source = PythonSource()
    pieces_by_slug: dict[str, Entry] = {}
    for _, batch in source.read(source.batches()):
        if isinstance(batch, list):
            pieces_by_slug |= {piece.slug: piece for piece in batch}
        if len(pieces_by_slug) >= count:
            break
    originals = list(pieces_by_slug.values())[:count]
    yield from originals
    for piece in originals[: count - len(originals)]:
        yield replace(piece, slug=f"more.{piece.slug}", name=f"more.{piece.name}", parent=f"more.{piece.parent}")


if __name__ == "__main__":
    count = int(sys.argv[1])
    contents = Contents.from_documents(PythonSource.title, pieces(count))
    assert len(contents.entries) == count
    store = store_of(python_docs, DatabaseUrl.parse(f"sqlite:///{FILE}"))
    store.prepare()
    store.write(contents, lambda _: None)
    print("\n".join(entry.document.name for entry in contents.entries))
