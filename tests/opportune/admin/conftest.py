from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from pydantic import SecretStr

from opportune.application import create_app
from opportune.project import installed_features
from opportune.settings import Settings
from tests.opportune.admin.bookshelf_feature import bookshelf
from tests.opportune.admin.gadget_feature import Maker, Table, gadgets
from tests.opportune.admin.novel_feature import BANNED, Genre, novels
from tests.opportune.admin.shelf_feature import shelves


@pytest.fixture
def admin(superuser_client: AsyncClient) -> AsyncClient:
    """A browser in which a superuser is signed in."""
    return superuser_client


@pytest.fixture
async def app_with_gadgets(settings: Settings) -> AsyncIterator[FastAPI]:
    """The site with one more feature."""
    app = create_app(settings, (*installed_features(), gadgets))
    async with app.router.lifespan_context(app):
        async with app.state.database.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        async with app.state.database.writer() as session:
            session.add_all([Maker(name="Acme", api_key="k3y"), Maker(name="100% Ltd")])
        yield app


@pytest.fixture
async def app_with_shelves(settings: Settings, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The site with a feature that has files and children."""
    ours = settings.model_copy(update={"storage_url": SecretStr(f"file:{tmp_path / 'uploads'}")})
    app = create_app(ours, (*installed_features(), shelves))
    async with app.router.lifespan_context(app):
        async with app.state.database.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        yield app


@pytest.fixture
async def app_with_bookshelf(settings: Settings, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The site with books that have an author, tags and reviews."""
    ours = settings.model_copy(update={"storage_url": SecretStr(f"file:{tmp_path / 'uploads'}")})
    app = create_app(ours, (*installed_features(), bookshelf))
    async with app.router.lifespan_context(app):
        async with app.state.database.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        yield app


@pytest.fixture
async def app_with_novels(settings: Settings) -> AsyncIterator[FastAPI]:
    """The site with a feature that has many-to-many relationships and hooks."""
    app = create_app(settings, (*installed_features(), novels))
    async with app.router.lifespan_context(app):
        async with app.state.database.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        async with app.state.database.writer() as session:
            session.add_all([Genre(id=1, name="Crime"), Genre(id=2, name="Poetry"), Genre(id=3, name=BANNED)])
        yield app
