"""Sites with the features of these tests, and clients of their users."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page

from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser
from tests.opportune.admin.bookshelf_feature import bookshelf
from tests.opportune.admin.gadget_feature import gadgets, make_makers
from tests.opportune.admin.novel_feature import make_genres, novels
from tests.opportune.admin.shelf_feature import shelves
from tests.opportune.site_with import site_fixture

app_with_gadgets = site_fixture(gadgets, make_makers)
app_with_shelves = site_fixture(shelves)
app_with_bookshelf = site_fixture(bookshelf)
app_with_novels = site_fixture(novels, make_genres)
"""Sites for modules that change the options of views before the site has rows."""


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
