"""Fixtures to run commands and to copy databases, a user, and sites with the features of the admin's tests."""

import pytest

from opportune.accounts import User
from opportune.db import Database
from opportune.testing import make_user
from opportune.testing.commands import oppman
from tests.opportune.admin import conftest as admin_tests
from tests.opportune.contrib.copydb.two_databases import databases

__all__ = ["databases", "oppman"]

app_with_gadgets = admin_tests.app_with_gadgets
app_with_bookshelf = admin_tests.app_with_bookshelf


@pytest.fixture
async def ada(database: Database) -> User:
    return await make_user(database, "ada@example.com")
