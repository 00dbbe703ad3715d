"""A site with NEEDS_SECOND_FACTOR=all."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import Passkey, User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.plugin import settings_for

SETUP_PAGE = "/accounts/two-factor"
ACCEPT_HTML = {"Accept": "text/html"}


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url).model_copy(update={"needs_second_factor": "all"})


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database)


async def test_user_without_second_factor_must_set_one_up(app: FastAPI, user: User) -> None:
    async with signed_in_client(app, user) as client:
        page = await client.get("/accounts/profile", headers=ACCEPT_HTML)
        assert (page.status_code, page.headers["location"]) == (303, SETUP_PAGE)
        api_response = await client.get("/api/v1/users/me")
        assert (api_response.status_code, SETUP_PAGE in api_response.json()["detail"]) == (403, True)


@pytest.mark.parametrize("path", [SETUP_PAGE, "/accounts/passkeys", "/accounts/confirm", "/accounts/login", "/"])
async def test_setup_pages_do_not_redirect(app: FastAPI, user: User, path: str) -> None:
    async with signed_in_client(app, user) as client:
        assert (await client.get(path, headers=ACCEPT_HTML)).headers.get("location") != SETUP_PAGE


async def test_setup_page_gives_the_reason(app: FastAPI, user: User) -> None:
    async with signed_in_client(app, user) as client:
        assert "This site requires a second factor." in (await client.get(SETUP_PAGE)).text


async def test_authenticator_app_or_passkey_is_enough(app: FastAPI, database: Database, user: User) -> None:
    async with database.writer() as session:
        session.add(
            Passkey(user_id=user.id, name="Key", credential_id="a", public_key="b", user_handle="c", verifies_user=True)
        )
    for protected_user in (user, await make_user(database, totp_secret="sealed")):
        async with signed_in_client(app, protected_user) as client:
            assert (await client.get("/accounts/profile")).status_code == 200


@pytest.mark.parametrize("policy", ["staff", "none"])
async def test_other_policies_do_not_redirect_users(app: FastAPI, user: User, policy: str) -> None:
    app.state.settings = app.state.settings.model_copy(update={"needs_second_factor": policy})
    async with signed_in_client(app, user) as client:
        assert (await client.get("/accounts/profile", headers=ACCEPT_HTML)).status_code == 200


async def test_visitors_see_public_pages(client: AsyncClient) -> None:
    assert (await client.get("/")).status_code == 200
