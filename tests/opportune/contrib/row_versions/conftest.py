"""The site of the leaflets."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from opportune.config.settings import Settings
from tests.opportune.contrib.row_versions.leaflet_feature import leaflet_site


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with leaflet_site(settings) as app:
        yield app
