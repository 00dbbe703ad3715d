"""Fixtures of the tests of the chat."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page

from app.chat import hooks, pages
from opportune.accounts import User
from opportune.contrib.answers.testing import manager, model, owner_id, short_intervals
from opportune.testing import sign_in_browser
from tests.chat.conversations import make_conversation

__all__ = ["manager", "model", "owner_id", "short_intervals"]  # fixtures


@pytest.fixture(autouse=True)
def _no_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not generate titles. Tests of titles override this fixture."""
    monkeypatch.setattr(hooks, "can_be_titled", lambda _: False)


@pytest.fixture(autouse=True)
def _no_follow_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not suggest questions. Tests of suggestions override this fixture."""
    for module in (hooks, pages):
        monkeypatch.setattr(module, "MAX_FOLLOW_UPS", 0)


@pytest.fixture
async def number(app: FastAPI, user: User) -> int:
    """Id of a stored conversation of the user."""
    return await make_conversation(app.state.database, user.id, 1)


@pytest.fixture
async def chat_page(page: Page, app: FastAPI, site: str, user: User) -> Page:
    await sign_in_browser(page, app, user, site)
    await page.goto("/chat")
    return page
