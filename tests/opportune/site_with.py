"""A site with one more feature, whose tables no migration makes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import MetaData

from opportune import features
from opportune.config.project import installed_features
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.testing.quiet_app import quiet_app
from tests.opportune.tables import make_tables

BESIDE = (*features.__all__, "users")
"""The framework's own: each view of the project's would be made by hundreds of tests that look at none."""


@asynccontextmanager
async def site_with(feature: Feature, tables: MetaData, settings: Settings) -> AsyncIterator[FastAPI]:
    app = quiet_app(settings, (*(each for each in installed_features() if each.name in BESIDE), feature))
    async with app.router.lifespan_context(app):
        await make_tables(tables, app.state.database)
        yield app
