"""A browser session stores a confirmed identity for 15 minutes."""

from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import AsyncClient

from opportune.accounts.flows.confirmation import CONFIRMED_FOR, PASSWORDS_PER_USER, SIGNED_IN_FOR
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication import get_confirmed_user
from opportune.config import Settings, installed_features
from opportune.db import Database, utc_now
from opportune.feature import Feature
from opportune.testing.app import create_test_app
from opportune.testing.factories import PASSWORD, make_token, make_user, signed_in_client
from opportune.web.cache import cached
from tests.opportune.accounts.authenticator_app import add_authenticator_app
from tests.opportune.accounts.conftest import bearer
from tests.opportune.stored_rows import count, set_all

CONFIRMATION_PAGE, CONFIRMATION_API = "/accounts/confirm", "/api/v1/users/me/confirmation"
PROTECTED_PAGE = "/danger"
NEW_TOKEN = {"name": "Script", "days": "30", "scopes": "read"}


@pytest.fixture
def site(app: FastAPI) -> FastAPI:
    """A site with a page and an API route that need a confirmed identity."""
    for path in (PROTECTED_PAGE, "/api/v1/danger"):

        @app.api_route(path, methods=["GET", "POST"])
        async def show_email(user: Annotated[User, Depends(get_confirmed_user)]) -> str:
            return user.email

    return app


async def test_protected_page_redirects_to_confirmation_and_back(site: FastAPI) -> None:
    async with signed_in_client(site) as client:
        redirect = await client.get(f"{PROTECTED_PAGE}?a=1")
        assert redirect.status_code == 303
        assert redirect.headers["location"] == f"{CONFIRMATION_PAGE}?next=%2Fdanger%3Fa%3D1"
        submitted = await client.post(PROTECTED_PAGE, headers={"referer": "http://testserver/accounts/profile"})
        assert submitted.headers["location"] == f"{CONFIRMATION_PAGE}?next=%2Faccounts%2Fprofile"
        page = await client.get(redirect.headers["location"])
        assert "Nothing was changed yet" in page.text
        assert 'name="next" value="/danger?a=1"' in page.text
        assert (await client.get("/api/v1/danger")).status_code == 403
        confirmed = await client.post(CONFIRMATION_PAGE, data={"current_password": PASSWORD, "next": PROTECTED_PAGE})
        assert (confirmed.status_code, confirmed.headers["location"]) == (303, PROTECTED_PAGE)
        assert (await client.get(PROTECTED_PAGE)).status_code == 200
        assert (await client.get("/api/v1/danger")).status_code == 200
        assert (await client.get(f"{CONFIRMATION_PAGE}?next={PROTECTED_PAGE}")).headers["location"] == PROTECTED_PAGE


async def test_clock_set_back_ends_the_confirmation(site: FastAPI, database: Database) -> None:
    async with signed_in_client(site) as client:
        await set_all(database, Session, confirmed_at=utc_now() + timedelta(days=1))
        assert (await client.get(PROTECTED_PAGE)).status_code == 303


async def test_visitors_and_tokens_cannot_confirm(site: FastAPI, client: AsyncClient) -> None:
    for path in (PROTECTED_PAGE, CONFIRMATION_PAGE):
        assert (await client.get(path)).headers["location"].startswith("/accounts/login?next=")
    assert (await client.post(CONFIRMATION_API, json={})).status_code == 401
    headers = bearer(await make_token(site.state.database, await make_user(site.state.database)))
    assert (await client.get("/api/v1/danger", headers=headers)).status_code == 403
    form = {"current_password": PASSWORD}
    assert (await client.post(CONFIRMATION_API, headers=headers, json=form)).status_code == 409


async def test_password_in_a_form_confirms_the_session(database: Database, user_client: AsyncClient) -> None:
    page, old_token = await user_client.get("/accounts/tokens"), user_client.cookies["session"]
    assert 'name="current_password"' in page.text
    created = await user_client.post("/accounts/tokens", data={**NEW_TOKEN, "current_password": PASSWORD})
    assert "Your new token" in created.text
    assert 'name="current_password"' not in (await user_client.get("/accounts/tokens")).text
    assert "Your new token" in (await user_client.post("/accounts/tokens", data=NEW_TOKEN)).text
    # A typed password is still checked.
    response = await user_client.post("/accounts/tokens", data={**NEW_TOKEN, "current_password": "wrong"})
    assert (response.status_code, "This is not your current password." in response.text) == (422, True)
    # Confirming replaces the token, so copies of the old cookie are invalid.
    user_client.cookies.clear()
    copied = await user_client.get("/accounts/tokens", headers={"Cookie": f"session={old_token}"})
    assert copied.status_code == 303
    assert await count(database, Session) == 1


async def test_form_with_other_errors_keeps_the_session(database: Database, user_client: AsyncClient) -> None:
    await make_user(database, "bob@example.com")
    old_token = user_client.cookies["session"]
    form = {"email": "nonsense", "current_password": PASSWORD}
    assert (await user_client.post("/accounts/data/delete", data=form)).status_code == 422
    assert (await user_client.post("/accounts/password", data={"new_password": "x", **form})).status_code == 422
    new_tokens = [item.value for item in user_client.cookies.jar if item.name == "session" and item.value != old_token]
    cookie = {"Cookie": f"session={new_tokens[-1]}"}
    assert (await user_client.get("/accounts/tokens", headers=cookie)).status_code == 200


async def test_confirmation_ends_after_fifteen_minutes(site: FastAPI) -> None:
    database, user = site.state.database, await make_user(site.state.database)
    async with signed_in_client(site, user) as client, signed_in_client(site, user) as other_browser:
        assert (await client.post(CONFIRMATION_API, json={"current_password": PASSWORD})).status_code == 204
        assert (await client.get(PROTECTED_PAGE)).status_code == 200
        assert (await other_browser.get(PROTECTED_PAGE)).status_code == 303
        await set_all(database, Session, confirmed_at=utc_now() - CONFIRMED_FOR)
        assert (await client.get(PROTECTED_PAGE)).status_code == 303
        redirect = await client.post("/accounts/tokens", data=NEW_TOKEN)
        assert "Please enter your current password." in redirect.text


async def test_cached_page_ends_with_the_confirmation(settings: Settings) -> None:
    router = APIRouter()

    @router.get(PROTECTED_PAGE)
    @cached(60, per_user=True)
    async def show_email(user: Annotated[User, Depends(get_confirmed_user)]) -> str:
        return user.email

    app = create_test_app(settings, (*installed_features(), Feature("danger", "A page.", pages=router)))
    async with app.router.lifespan_context(app), signed_in_client(app) as client:
        await client.post(CONFIRMATION_API, json={"current_password": PASSWORD})
        assert (await client.get(PROTECTED_PAGE)).status_code == 200
        await set_all(app, Session, confirmed_at=utc_now() - CONFIRMED_FOR)
        assert (await client.get(PROTECTED_PAGE)).status_code == 303


async def test_code_of_app_confirms(site: FastAPI, database: Database, settings: Settings, user: User) -> None:
    authenticator = await add_authenticator_app(database, settings, user)
    async with signed_in_client(site, user) as client:
        created = await client.post("/accounts/tokens", data={**NEW_TOKEN, "current_password": PASSWORD})
        assert "Your new token" in created.text
        assert (await client.get(PROTECTED_PAGE)).status_code == 303
        for code in ("", "000000"):
            refused = await client.post(CONFIRMATION_PAGE, data={"current_password": PASSWORD, "code": code})
            assert (refused.status_code, 'name="code"' in refused.text) == (422, True)
        form = {"current_password": PASSWORD, "code": authenticator.code}
        assert (await client.post(CONFIRMATION_PAGE, data=form)).status_code == 303
        assert (await client.get(PROTECTED_PAGE)).status_code == 200


async def test_user_without_password_confirms_by_sign_in(site: FastAPI, database: Database) -> None:
    async with signed_in_client(site, await make_user(database, hashed_password="")) as client:
        assert (await client.get(PROTECTED_PAGE)).status_code == 200
        await set_all(database, Session, created_at=utc_now() - SIGNED_IN_FOR)
        assert (await client.get(PROTECTED_PAGE)).status_code == 303
        page = await client.post(CONFIRMATION_PAGE)
        assert (page.status_code, "Sign out, sign in again" in page.text) == (422, True)


async def test_confirmation_attempts_are_limited(monkeypatch: pytest.MonkeyPatch, user_client: AsyncClient) -> None:
    assert PASSWORDS_PER_USER.limit == 10
    monkeypatch.setattr(PASSWORDS_PER_USER, "limit", 2)
    for _ in range(2):
        assert (await user_client.post(CONFIRMATION_PAGE, data={"current_password": "wrong"})).status_code == 422
    for response in (
        await user_client.post(CONFIRMATION_PAGE, data={"current_password": PASSWORD}),
        await user_client.post(CONFIRMATION_API, json={"current_password": PASSWORD}),
    ):
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 0
    for invalid_form in ({"current_password": "\x00"}, {"current_password": "a" * 5000}, {"code": "9" * 500}):
        assert (await user_client.post(CONFIRMATION_PAGE, data=invalid_form)).status_code in {422, 429}
