"""Site and client for tests of field types."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from opportune.config.settings import Settings
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.fields.samples_feature import Sample, samples
from tests.opportune.site_with import site_with


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """Site with a feature that has fields of every type."""
    async with site_with(samples, Sample.metadata, settings) as app:
        yield app


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Client of a superuser."""
    superuser = await make_user(app.state.database, "root@example.com", is_superuser=True)
    async with signed_in_client(app, superuser) as client:
        yield client
