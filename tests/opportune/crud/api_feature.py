"""The API of the library, with one hidden writer and one hidden topic."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from opportune.config.settings import Settings
from opportune.crud import Crud, CrudApi, Permission
from opportune.db import Database
from opportune.feature import Feature
from tests.opportune.crud.library import (
    LibraryTable,
    Note,
    Notes,
    Opinion,
    Opinions,
    Topic,
    Volume,
    Volumes,
    VolumeTopic,
    Writer,
    Writers,
)
from tests.opportune.site_with import site_with

API = "/api/v1"
EMMA = {"title": "Emma", "slug": "emma", "writer_id": 1, "price": "12.50", "status": "published", "topics": [1]}


class NestedVolumes(Crud[Volume]):
    read_permission = Permission.ANYONE
    nested = ("writer", "editor", "topics")
    exclude = ("blurb", "is_staff")


volumes = CrudApi(Volumes, "/volumes")


@volumes.router.get("/numbers")
async def numbers() -> list[int]:
    return [1, 2]


library_feature = Feature(
    "library",
    "Books.",
    models=[Writer, Topic, Volume, VolumeTopic, Opinion, Note],
    api=[
        CrudApi(Writers, "/writers").router,
        volumes.router,
        CrudApi(NestedVolumes, "/nested", without=("create", "update", "delete")).router,
        CrudApi(Opinions, "/opinions").router,
        CrudApi(Notes, "/notes").router,
    ],
)


@asynccontextmanager
async def library_site(settings: Settings) -> AsyncIterator[FastAPI]:
    """Yield a site with the library's API, two writers and two topics, one of each hidden."""
    async with site_with(library_feature, LibraryTable.metadata, settings) as app:
        database: Database = app.state.database
        async with database.writer() as session:
            session.add_all([Writer(id=1, name="Jane Austen", api_key="k3y"), Writer(id=2, name="No", is_hidden=True)])
            session.add_all([Topic(id=1, name="Love"), Topic(id=2, name="Hidden", is_hidden=True)])
        yield app


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with library_site(settings) as app:
        yield app


@pytest.fixture
async def database(app: FastAPI) -> Database:
    database: Database = app.state.database
    return database
