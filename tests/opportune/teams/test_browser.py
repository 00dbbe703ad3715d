import re

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing.factories import make_user, sign_in_browser
from opportune.testing.recorded_jobs import RecordedJobs
from opportune.testing.services.accessibility import find_violations
from tests.opportune.accounts.recorded_emails import recorded, settings

__all__ = ["recorded", "settings"]  # fixtures


@pytest.mark.database("sqlite")
async def test_a_team_is_made_shared_and_left(
    app: FastAPI, page: Page, plain_page: Page, site: str, recorded: RecordedJobs
) -> None:
    owner = await make_user(app.state.database, "ann@example.com", is_verified=True)
    guest = await make_user(app.state.database, "bob@example.com", is_verified=True)
    await sign_in_browser(page, app, owner, site)
    await page.goto("/teams/new")
    await page.get_by_label("Name").fill("Press")
    await page.get_by_role("button", name="Make team").click()
    await page.get_by_role("link", name="Invitations", exact=True).click()
    await page.get_by_label("E-mail").fill("bob@example.com")
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Send invitation").click()
    await expect(page.get_by_role("listitem").filter(has_text="bob@example.com")).to_be_visible()
    link = re.search(r"/teams/invitation\?token=\S+", recorded.outbox[-1].text)
    assert link

    await sign_in_browser(plain_page, app, guest, site)
    await plain_page.goto(link[0])
    await plain_page.get_by_role("button", name="Accept").click()
    await expect(plain_page.get_by_role("row", name=re.compile("bob@example.com"))).to_contain_text("Member")
    await plain_page.get_by_role("link", name="Settings", exact=True).click()
    await plain_page.get_by_role("button", name="Leave Press").click()
    await expect(plain_page.get_by_text("You are in no team yet.")).to_be_visible()

    await page.goto("/teams/new")
    await page.get_by_label("Name").fill("Second")
    await page.get_by_role("button", name="Make team").click()
    await page.get_by_role("button", name="Team Second").click()
    await page.get_by_role("button", name="Switch to Press").click()
    menu = page.get_by_role("button", name="Teams")  # of a page that knows no teams: they are fetched
    await menu.hover()
    await menu.click()
    await expect(page.get_by_role("link", name="Press", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Switch to Second")).to_be_visible()
    assert await find_violations(page) == []
