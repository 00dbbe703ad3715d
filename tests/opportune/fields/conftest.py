"""Site and client for tests of field types."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.fields.samples_feature import Sample, samples
from tests.opportune.site_with import site_fixture

app = site_fixture(samples, Sample.metadata)
"""Site with a feature that has fields of every type."""


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Client of a superuser."""
    superuser = await make_user(app.state.database, "root@example.com", is_superuser=True)
    async with signed_in_client(app, superuser) as client:
        yield client
