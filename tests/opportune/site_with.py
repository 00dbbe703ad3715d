"""The site with one more feature, whose tables no migration makes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import MetaData

from opportune.feature import Feature
from opportune.project import installed_features
from opportune.settings import Settings
from opportune.testing.quiet_app import quiet_app
from tests.opportune.tables import make_tables


@asynccontextmanager
async def site_with(feature: Feature, tables: MetaData, settings: Settings) -> AsyncIterator[FastAPI]:
    app = quiet_app(settings, (*installed_features(), feature))
    async with app.router.lifespan_context(app):
        await make_tables(tables, app.state.database)
        yield app
