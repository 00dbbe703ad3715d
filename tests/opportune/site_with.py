"""A site with one additional feature, whose tables have no migrations."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import MetaData

from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.project.layout import installed_features
from opportune.project.optional_features import OPTIONAL_FEATURES
from opportune.testing.app import create_test_app
from tests.opportune.tables import make_tables

FRAMEWORK_FEATURES = (*OPTIONAL_FEATURES, "users")
"""The site has only these other features, because hundreds of tests would build the project's views without use."""


@asynccontextmanager
async def site_with(
    feature: Feature, tables: MetaData, settings: Settings, *, without: Collection[str] = ()
) -> AsyncIterator[FastAPI]:
    names = {*FRAMEWORK_FEATURES} - {*without}
    app = create_test_app(settings, (*(other for other in installed_features() if other.name in names), feature))
    async with app.router.lifespan_context(app):
        await make_tables(tables, app.state.database)
        yield app


def site_fixture(feature: Feature, tables: MetaData) -> Any:
    """Return a fixture with a started site that has one additional feature."""

    @pytest.fixture
    async def app(settings: Settings) -> AsyncIterator[FastAPI]:
        async with site_with(feature, tables, settings) as app:
            yield app

    return app
