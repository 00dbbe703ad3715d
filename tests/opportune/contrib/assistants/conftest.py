from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.contrib.teams.conftest import clients, crew

__all__ = ["clients", "crew"]  # fixtures: a team with a user of each role, and their browsers


@pytest.fixture
async def staff(database: Database) -> User:
    return await make_user(database, is_superuser=True)


@pytest.fixture
async def staff_client(app: FastAPI, staff: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, staff) as client:
        yield client
