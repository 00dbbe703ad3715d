from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from pydantic import SecretStr

from opportune.application import create_app
from opportune.project import installed_features
from opportune.settings import Settings
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.fields.samples_feature import Sample, samples


@pytest.fixture
async def app(settings: Settings, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The site with a feature that has fields of every type."""
    ours = settings.model_copy(update={"storage_url": SecretStr(f"file:{tmp_path / 'uploads'}")})
    app = create_app(ours, (*installed_features(), samples))
    async with app.router.lifespan_context(app):
        async with app.state.database.engine.begin() as connection:
            await connection.run_sync(Sample.metadata.create_all)
        yield app


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A browser in which a superuser is signed in."""
    superuser = await make_user(app.state.database, "root@example.com", is_superuser=True)
    async with signed_in_client(app, superuser) as client:
        yield client
