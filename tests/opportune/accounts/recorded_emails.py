"""Fixtures of a site whose jobs are recorded_jobs, so that tests can read their e-mails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.plugin import settings_for
from opportune.testing.recorded_jobs import RecordedJobs


def list_sent_subjects(recorded_jobs: RecordedJobs) -> list[tuple[str, str]]:
    """Return the recipient and subject of each e-mail."""
    return [(email.to, email.subject) for email in recorded_jobs.outbox]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    changes = {"storage_url": SecretStr(f"file:{tmp_path / 'uploads'}"), "jobs": "off"}
    return settings_for(database_url).model_copy(update=changes)


@pytest.fixture
def recorded_jobs(app: FastAPI) -> RecordedJobs:
    return RecordedJobs(app.state.settings, app.state.database, app.state.storage)


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, "ada@example.com")


@pytest.fixture
async def ada_client(app: FastAPI, user: User, recorded_jobs: RecordedJobs) -> AsyncIterator[AsyncClient]:
    """A browser of the user."""
    async with signed_in_client(app, user) as client:
        yield client


@pytest.fixture
async def other_browser(app: FastAPI, user: User, ada_client: AsyncClient) -> AsyncIterator[AsyncClient]:
    """Another browser of the user."""
    async with signed_in_client(app, user) as client:
        yield client
