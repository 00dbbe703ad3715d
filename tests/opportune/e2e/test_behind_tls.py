"""Browser test of a site behind a proxy that ends TLS."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from opportune.config.hosts import HOSTS
from opportune.config.settings import Settings
from opportune.contrib.deploy.rehearsal.network import ProxyConfig, run_proxy
from opportune.contrib.deploy.rehearsal.rules import Rules
from opportune.testing.factories import PASSWORD
from opportune.testing.services.certificates import make_certificate
from opportune.testing.services.ports import free_port


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Production settings, with secure cookies."""
    return settings.model_copy(update={"environment": "production"})


async def test_registration_behind_tls_sets_secure_cookie(chromium: Browser, site: str, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    rules = replace(Rules.for_host(HOSTS["render"]), total_seconds=None)
    config = ProxyConfig(rules, free_port(), int(site.rpartition(":")[2]), certificate, tmp_path / "proxy")
    errors: list[str] = []
    async with (
        run_proxy(config),
        await chromium.new_context(
            base_url=f"https://127.0.0.1:{config.port}", ignore_https_errors=True, reduced_motion="reduce"
        ) as context,
    ):
        page = await context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        await page.goto("/accounts/register")
        await page.get_by_label("E-mail").fill("ada@example.com")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("main").get_by_role("button", name="Register").click()
        await expect(page.locator("#account")).to_contain_text("ada")
        assert page.url.startswith("https://")
        assert {"__Host-session"} <= {cookie["name"] for cookie in await context.cookies() if cookie["secure"]}
    assert errors == []
