"""A site with one additional feature, whose tables have no migrations."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlmodel import SQLModel

from opportune.config import Settings, installed_features
from opportune.db import Database, Model
from opportune.feature import Feature
from opportune.testing import signed_in_client
from opportune.testing.app import create_test_app
from tests.opportune.stored_rows import add_rows, make_staff
from tests.opportune.tables import make_tables

ADMIN_FEATURES = (
    *("accounts", "users", "jobs", "admin", "operations", "dashboard", "saved_views", "reports", "row_versions"),
    *("import_export", "palette", "teams"),
)
"""Features with pages and rules for all models. Routes and views of others would slow down hundreds of tests."""


@asynccontextmanager
async def site_with(
    feature: Feature,
    settings: Settings,
    *rows: SQLModel,
    others: Collection[str] = ADMIN_FEATURES,
    without: Collection[str] = (),
) -> AsyncIterator[FastAPI]:
    """Start a site with a feature and rows. Tables with a separate metadata have no migrations and are created."""
    names = {*others} - {*without}
    app = create_test_app(settings, (*(other for other in installed_features() if other.name in names), feature))
    async with app.router.lifespan_context(app):
        unmigrated = (model for model in feature.models if model.metadata is not Model.metadata)
        await make_tables(app.state.database, *unmigrated)
        await add_rows(app, *rows)
        yield app


def site_fixture(
    feature: Feature,
    make_rows: Callable[[], Iterable[SQLModel]] = tuple,
    others: Collection[str] = ADMIN_FEATURES,
    **changes: Any,
) -> Any:
    """Return a fixture with a started site that has one additional feature, rows, and changed settings."""

    @pytest.fixture
    async def app(settings: Settings) -> AsyncIterator[FastAPI]:
        async with site_with(feature, settings.model_copy(update=changes), *make_rows(), others=others) as app:
            yield app

    return app


def staff_fixture(*permissions: str) -> Any:
    """Return a fixture with a client of staff who have only these permissions, such as `book.list`."""

    @pytest.fixture
    async def staff(app: FastAPI) -> AsyncIterator[AsyncClient]:
        async with signed_in_client(app, await make_staff(app, *permissions)) as client:
            yield client

    return staff


def client_of(app: FastAPI) -> AsyncClient:
    """Return a browser without a user."""
    return AsyncClient(transport=ASGITransport(app), base_url="http://testserver")


@pytest.fixture
def database(app: FastAPI) -> Database:
    database: Database = app.state.database
    return database
