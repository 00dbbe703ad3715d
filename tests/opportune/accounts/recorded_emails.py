"""Clients of a user whose e-mails are recorded."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.recorded_jobs import RecordedJobs


def list_sent_subjects(recorded_jobs: RecordedJobs) -> list[tuple[str, str]]:
    """Return the recipient and subject of each e-mail."""
    return [(email.to, email.subject) for email in recorded_jobs.outbox]


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
