import pytest
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.db import Database
from opportune.testing import RecordedJobs
from tests.opportune.contrib.knowledge.shelves import Shelf, make_collection


@pytest.fixture
async def shelf(user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs) -> Shelf:
    collection = await make_collection(database, owner_id=user.id)
    return Shelf(user_client, database, recorded_jobs, collection.id)
