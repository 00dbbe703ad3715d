"""Sites with the features of these tests, and clients of their users."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from playwright.async_api import Page

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.testing.factories import sign_in_browser
from tests.opportune.admin.bookshelf_feature import bookshelf
from tests.opportune.admin.gadget_feature import Maker, Table, gadgets
from tests.opportune.admin.novel_feature import BANNED, Genre, novels
from tests.opportune.admin.shelf_feature import shelves
from tests.opportune.site_with import site_fixture, site_with
from tests.opportune.stored_rows import add_rows


@pytest.fixture
async def app_with_gadgets(settings: Settings) -> AsyncIterator[FastAPI]:
    """Site with the gadgets feature."""
    async with site_with(gadgets, Table.metadata, settings) as app:
        await add_rows(app, Maker(name="Acme", api_key="k3y"), Maker(name="100% Ltd"))
        yield app


app_with_shelves = site_fixture(shelves, Table.metadata)
"""Site with a feature with files and children."""


app_with_bookshelf = site_fixture(bookshelf, Table.metadata)
"""Site with books that have an author, tags and reviews."""


@pytest.fixture
async def app_with_novels(settings: Settings) -> AsyncIterator[FastAPI]:
    """Site with a feature with many-to-many relationships and hooks."""
    async with site_with(novels, Table.metadata, settings) as app:
        await add_rows(app, Genre(id=1, name="Crime"), Genre(id=2, name="Poetry"), Genre(id=3, name=BANNED))
        yield app


@pytest.fixture
async def page(page: Page, app: FastAPI, superuser: User, site: str) -> Page:
    """A browser page of a superuser."""
    await sign_in_browser(page, app, superuser, site)
    return page


@pytest.fixture
async def plain_page(plain_page: Page, app: FastAPI, superuser: User, site: str) -> Page:
    """A browser page of a superuser, without JavaScript."""
    await sign_in_browser(plain_page, app, superuser, site)
    return plain_page
