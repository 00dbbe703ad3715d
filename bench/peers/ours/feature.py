"""The site with an additional feature, written as in the guide: a table, two pages and three JSON routes.

All protection of production is enabled. A feature of a project would be listed in app/installed.py. This one is passed
to `create_app`, so that the site does not contain it.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from jinja2 import ChoiceLoader, FileSystemLoader
from pydantic import BaseModel
from pydantic import Field as FormField
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from bench.peers.ours.answers import api as answers_api
from opportune.accounts import CurrentUser
from opportune.application import create_app
from opportune.config import installed_features
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.db import Model, ReadSession, WriteSession, utc_now
from opportune.feature import Admin, Feature, Jobs, Link, Site
from opportune.fields import Line, Text
from opportune.i18n.catalogue_compiler import messages_of, parse_catalogue, texts
from opportune.i18n.catalogues import catalogue_path
from opportune.jobs import JobContext, defer, job
from opportune.project.layout import FRAMEWORK
from opportune.web import cached, templates

pages = APIRouter(prefix="/items")
api = APIRouter(tags=["items"])


class Item(Model, table=True):
    __tablename__ = "bench_item"

    title: str = Field(max_length=200)
    note: str = Field(default="", max_length=2000)
    done: bool = False
    created_at: datetime = Field(default_factory=utc_now)


class ItemCreate(BaseModel):
    title: Line = FormField(min_length=1, max_length=200)
    note: Text = FormField("", max_length=2000)


class ItemRead(BaseModel):
    id: int
    title: str
    note: str
    done: bool
    created_at: datetime


FIRST_ITEMS = select(Item).order_by(col(Item.id)).limit(20)


async def first_items(session: AsyncSession) -> Sequence[Item]:
    return (await session.scalars(FIRST_ITEMS)).all()


@pages.get("")
async def index(request: Request, session: ReadSession) -> Response:
    return templates.render(request, "items/list.html", {"items": await first_items(session)})


@pages.get("/guarded")
async def index_for_users(request: Request, session: ReadSession, _user: CurrentUser) -> Response:
    """Show the same page to signed-in users."""
    return templates.render(request, "items/list.html", {"items": await first_items(session)})


@pages.get("/kept")
@cached(60, stale=300, tags=["items"])
async def cached_index(request: Request, session: ReadSession) -> Response:
    return templates.render(request, "items/list.html", {"items": await first_items(session)})


@pages.get("/mine")
async def signed_in_page(request: Request, user: CurrentUser) -> Response:
    return templates.render(request, "items/mine.html", {"owner": user})


@cache
def find_texts() -> list[str]:
    """Return 100 texts that the framework translates."""
    catalogue = parse_catalogue(catalogue_path(FRAMEWORK / "locale", "de").read_bytes())
    originals = [texts(message.id)[0] for message in messages_of(catalogue) if not message.context]
    return [text for text in originals if "%" not in text][:100]


@pages.get("/texts")
async def translated_texts(request: Request, session: ReadSession) -> Response:
    context = {"items": await first_items(session), "texts": find_texts(), "is_translated": True}
    return templates.render(request, "items/texts.html", context)


@pages.get("/texts/plain")
async def plain_texts(request: Request, session: ReadSession) -> Response:
    context = {"items": await first_items(session), "texts": find_texts(), "is_translated": False}
    return templates.render(request, "items/texts.html", context)


@api.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}


@api.get("/items", response_model=list[ItemRead])
async def find(session: ReadSession) -> Sequence[Item]:
    return await first_items(session)


@api.post("/items", response_model=ItemRead, status_code=201)
async def add(session: WriteSession, new: ItemCreate) -> Item:
    item = Item(**new.model_dump())
    session.add(item)
    await session.flush()
    return item


@job("bench.notify")
async def notify(run: JobContext, item_id: int) -> None: ...


@api.post("/items/job", response_model=ItemRead, status_code=201)
async def add_with_job(session: WriteSession, new: ItemCreate) -> Item:
    item = await add(session, new)
    defer(session, notify(item.id))
    return item


class Items(Crud[Item]):
    default = True
    read_permission = write_permission = Permission.ANYONE
    readonly = ("done",)
    order = ("id",)


class ItemPages(CrudPages[Item]):
    columns = ("id", "title", "note", "done", "created_at")
    without = ("create", "update", "delete")


class FilteredItems(Crud[Item]):
    """Each combination of filters is a separate statement, for `bench.growth`."""

    read_permission = Permission.ANYONE
    search = ("title", "note")
    filters = ("done", "created_at")
    sort = ("id", "title", "created_at")
    order = ("id",)


class FilteredItemPages(CrudPages[Item]):
    columns = ("id", "title")
    without = ("create", "update", "delete")


items = Feature(
    "items",
    "A list.",
    models=[Item],
    pages=[pages, ItemPages(Items, "/rows").router, FilteredItemPages(FilteredItems, "/filtered").router],
    api=[api, answers_api, CrudApi(Items, "/rows").router, CrudApi(FilteredItems, "/filtered").router],
    site=Site(navigation=[Link("Items", "/items", "list")]),
    jobs=Jobs([notify]),
    admin=Admin("bench.peers.ours.admin"),
)


def create() -> FastAPI:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    templates.environment.loader = ChoiceLoader([loader, *filter(None, [templates.environment.loader])])
    return create_app(features=[*installed_features(), items])
