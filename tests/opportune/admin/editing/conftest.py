"""Site with the parts feature."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from opportune.config.settings import Settings
from tests.opportune.admin.editing.parts_feature import Part, parts
from tests.opportune.admin.gadget_feature import Maker, Table
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import add_rows


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with site_with(parts, Table.metadata, settings) as app:
        parts_of_acme = (Part(id=id_, name=name, maker_id=1) for id_, name in enumerate(("bolt", "nut", "sealed"), 1))
        await add_rows(app, Maker(id=1, name="Acme"), Maker(id=2, name="100% Ltd"), *parts_of_acme)
        yield app
