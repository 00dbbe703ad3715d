"""Users, databases and clients for tests of the data layer."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import User
from opportune.db import Database
from opportune.testing import add_permission, signed_in_client
from opportune.testing.fixtures import user as ann
from opportune.testing.fixtures import user as bob
from tests.opportune.crud import pages_feature
from tests.opportune.crud.library import TABLES
from tests.opportune.site_with import site_fixture
from tests.opportune.tables import make_tables

__all__ = ["ann", "bob"]


@pytest.fixture
async def library(database: Database) -> Database:
    """The database with the tables of the library."""
    await make_tables(database, *TABLES)
    return database


@pytest.fixture
async def session(library: Database, ann: User, bob: User, superuser: User) -> AsyncIterator[AsyncSession]:
    async with library.writer() as session:
        yield session


@pytest.fixture
async def librarian(app: FastAPI, ann: User) -> AsyncIterator[AsyncClient]:
    """A client of `ann`, who has all permissions on volumes."""
    await add_permission(app.state.database, ann, "volume", "*")
    async with signed_in_client(app, ann) as client:
        yield client


library_app = site_fixture(pages_feature.library)
"""A site with the pages of the library."""
