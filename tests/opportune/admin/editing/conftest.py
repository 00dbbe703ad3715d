"""Site with the parts feature."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from opportune.config.settings import Settings
from tests.opportune.admin.editing.parts_feature import Part, parts
from tests.opportune.admin.gadget_feature import Maker, Table
from tests.opportune.site_with import site_with


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with site_with(parts, Table.metadata, settings) as app:
        async with app.state.database.writer() as session:
            session.add_all([Maker(id=1, name="Acme"), Maker(id=2, name="100% Ltd")])
            await session.flush()
            names = ("bolt", "nut", "sealed")
            session.add_all([Part(id=number, name=name, maker_id=1) for number, name in enumerate(names, 1)])
        yield app
