"""A site with NEEDS_SECOND_FACTOR=all."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import Passkey, User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing import Make, make_user, signed_in_client
from opportune.testing.plugin import settings_for

SETUP_PAGE = "/accounts/two-factor"
ACCEPT_HTML = {"Accept": "text/html"}


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url).model_copy(update={"needs_second_factor": "all"})


async def test_user_without_second_factor_must_set_one_up(user_client: AsyncClient) -> None:
    page = await user_client.get("/accounts/profile", headers=ACCEPT_HTML)
    assert (page.status_code, page.headers["location"]) == (303, SETUP_PAGE)
    api_response = await user_client.get("/api/v1/users/me")
    assert (api_response.status_code, SETUP_PAGE in api_response.json()["detail"]) == (403, True)
    assert "This site requires a second factor." in (await user_client.get(SETUP_PAGE)).text


@pytest.mark.parametrize("path", [SETUP_PAGE, "/accounts/passkeys", "/accounts/confirm"])
async def test_setup_pages_do_not_redirect(user_client: AsyncClient, path: str) -> None:
    assert (await user_client.get(path, headers=ACCEPT_HTML)).headers.get("location") != SETUP_PAGE


@pytest.mark.parametrize(("page", "status", "target"), [(SETUP_PAGE, 204, None), ("/", 403, SETUP_PAGE)])
async def test_setup_part_does_not_reload(user_client: AsyncClient, page: str, status: int, target: str | None) -> None:
    headers = {**ACCEPT_HTML, "HX-Request-Type": "partial", "HX-Current-URL": f"http://testserver{page}"}
    response = await user_client.get("/accounts/profile", headers=headers)
    assert (response.status_code, response.headers.get("hx-redirect")) == (status, target)


async def test_authenticator_app_or_passkey_is_enough(app: FastAPI, database: Database, make: Make, user: User) -> None:
    await make(Passkey, user_id=user.id, verifies_user=True)
    for protected_user in (user, await make_user(database, totp_secret="sealed")):
        async with signed_in_client(app, protected_user) as client:
            assert (await client.get("/accounts/profile")).status_code == 200


@pytest.mark.parametrize("policy", ["staff", "none"])
async def test_other_policies_do_not_redirect_users(app: FastAPI, user_client: AsyncClient, policy: str) -> None:
    app.state.settings = app.state.settings.model_copy(update={"needs_second_factor": policy})
    assert (await user_client.get("/accounts/profile", headers=ACCEPT_HTML)).status_code == 200
