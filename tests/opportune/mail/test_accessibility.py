"""Accessibility of the mailbox and of e-mails, checked by axe."""

from pathlib import Path

from fastapi import FastAPI
from playwright.async_api import Page

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.mail.delivery import send_email
from opportune.mail.email import render_email
from opportune.testing.factories import sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.opportune.mail.conftest import settings_with

THEME_SCRIPT = """<script>
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  dark.addEventListener("change", follow);
  follow();
</script>"""


async def test_mailbox_is_accessible(
    app: FastAPI, page: Page, superuser: User, site: str, mailbox_folder: Path
) -> None:
    development = settings_with(environment="development")
    await send_email(development, render_email(development, "ada@example.com", "mail/test", {}))
    await sign_in_browser(page, app, superuser, site)
    violations = []
    for path in ("/mailbox", None):
        await (page.goto(path) if path else page.locator("a.list-group-item").click())
        violations += await find_violations(page)
    assert not violations


async def test_emails_are_accessible(page: Page, settings: Settings) -> None:
    html = render_email(settings, "ada@example.com", "mail/test", {}).html
    await page.goto("about:blank")
    await page.set_content(html + THEME_SCRIPT)
    assert not await find_violations(page)
