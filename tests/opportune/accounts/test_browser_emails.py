"""Internationalised addresses typed into forms."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import select

from opportune.accounts.models import User
from opportune.testing.factories import PASSWORD


async def register(page: Page, email: str) -> None:
    await page.goto("/accounts/register")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    await page.get_by_role("button", name="Register", exact=True).click()


@pytest.mark.parametrize("email", ["grüße@example.com", "ada@bücher.example", "用户@例子.example"])
async def test_internationalised_addresses_are_accepted(app: FastAPI, page: Page, site: str, email: str) -> None:
    await register(page, email)
    await expect(page).not_to_have_url(f"{site}/accounts/register")
    async with app.state.database.reader() as session:
        assert (await session.scalars(select(User.email))).all() == [email]  # type: ignore[call-overload]  # a column


async def test_text_without_at_sign_is_not_sent(app: FastAPI, page: Page, site: str) -> None:
    await register(page, "ada")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    assert await page.get_by_label("E-mail").evaluate("(input) => input.validity.patternMismatch")
