"""Against `oidc-provider-mock`, which others have written, in Chromium without JavaScript."""

import warnings

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from pydantic import SecretStr

from opportune.settings import Settings
from opportune.testing.plugin import settings_for

pytestmark = [
    pytest.mark.database("sqlite"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the provider's own libraries
]


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url).model_copy(update={"jobs": "off"})


async def test_somebody_without_javascript_registers_and_signs_in_by_a_provider(
    plain_page: Page, app: FastAPI, site: str
) -> None:
    with warnings.catch_warnings(record=True):  # of its own libraries
        from oidc_provider_mock import User, run_server_in_thread  # noqa: PLC0415 - half a second

    ada = User(sub="ada", claims={"email": "ada@example.com", "email_verified": True})
    with run_server_in_thread(user_claims=[ada]) as provider:
        ours = {"base_url": site, "oidc_url": f"http://localhost:{provider.server_port}", "oidc_label": "Keycloak"}
        secret = {"oidc_client_id": "the-site", "oidc_client_secret": SecretStr("secret")}
        app.state.settings = app.state.settings.model_copy(update={**ours, **secret})
        await plain_page.goto("/accounts/login?next=/accounts/profile")
        await plain_page.get_by_role("button", name="Continue with Keycloak").click()
        await plain_page.get_by_role("button", name="ada").click()
        await expect(plain_page).to_have_url(f"{site}/accounts/profile")
        await expect(plain_page.get_by_role("region", name="Ways to sign in")).to_contain_text("ada@example.com")
        await expect(plain_page.get_by_text("Verified", exact=True)).to_be_visible()
