import pytest
from httpx import AsyncClient

from tests.admin.operations.pages import CONFIRM, PAGE
from tests.factories import PASSWORD


@pytest.fixture
async def operator(admin: AsyncClient) -> AsyncClient:
    """A superuser who has just confirmed the password."""
    response = await admin.post(CONFIRM, data={"password": PASSWORD})
    assert (response.status_code, response.headers["location"]) == (303, PAGE)
    return admin
