"""The tables of the shop, with a vendor of two goods, one of them deleted."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.db.hooks.registry import temporary_hooks
from tests.opportune.db.trash.shop import Good, Vendor
from tests.opportune.tables import make_tables


@pytest.fixture
async def shop(database: Database) -> Database:
    await make_tables(database, Good)
    async with database.writer() as session:
        session.add(Vendor(id=1, name="Acme"))
        session.add_all([Good(id=1, name="Anvil", vendor_id=1), Good(id=2, name="Rocket", vendor_id=1)])
    async with database.writer() as session:
        await session.delete(await session.get_one(Good, 2))
    return database


@pytest.fixture
async def session(shop: Database) -> AsyncIterator[AsyncSession]:
    with temporary_hooks():
        async with shop.writer() as session:
            yield session
