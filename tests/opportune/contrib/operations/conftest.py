"""Fixtures of the tests of operations."""

import pytest
from httpx2 import AsyncClient

from opportune.testing.factories import PASSWORD
from tests.opportune.admin.conftest import page, plain_page
from tests.opportune.contrib.operations.pages import CONFIRM, PAGE

__all__ = ["page", "plain_page"]


@pytest.fixture
async def operator(admin: AsyncClient) -> AsyncClient:
    """Client of a superuser who has just confirmed the password."""
    response = await admin.post(f"{CONFIRM}?next={PAGE}", data={"current_password": PASSWORD})
    assert (response.status_code, response.headers["location"]) == (303, PAGE)
    return admin
