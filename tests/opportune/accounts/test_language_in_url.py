"""Languages in addresses: sign-in, the admin and e-mails work as without a language."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.i18n import use_language
from opportune.mail.email import render_email
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from opportune.web.language import localized_path

BROWSER = {"Accept": "text/html"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"languages": ["en", "de", "ar"], "language": "en", "language_in_url": True})


async def test_profile_does_not_override_address(app: FastAPI, database: Database) -> None:
    async with signed_in_client(app, await make_user(database, language="ar")) as client:
        for address, code in (("/accounts/profile", "en"), ("/de/accounts/profile", "de")):
            assert f'lang="{code}"' in (await client.get(address)).text
        assert 'lang="ar"' in (await client.get("/admin/", headers=BROWSER)).text


async def test_sign_in_returns_to_page_in_same_language(client: AsyncClient, user: User) -> None:
    response = await client.get("/de/accounts/profile", headers=BROWSER)
    assert response.headers["location"] == "/de/accounts/login?next=%2Faccounts%2Fprofile"
    form = {"email": user.email, "password": PASSWORD, "next": "/accounts/profile"}
    response = await client.post(response.headers["location"], data=form)
    assert response.headers["location"] == "/de/accounts/profile"


@pytest.mark.parametrize("next_path", ["//evil.test", "/\\evil.test"])
async def test_sign_in_stays_on_site(client: AsyncClient, user: User, next_path: str) -> None:
    form = {"email": user.email, "password": PASSWORD, "next": next_path}
    assert (await client.post("/de/accounts/login", data=form)).headers["location"] == "/de/"


async def test_protections_are_the_same_with_prefix(app: FastAPI, client: AsyncClient, user: User) -> None:
    """Request every tenth route, because a middleware removes the language for all routes."""
    paths = sorted({re.sub(r"{.*?}", "1", str(getattr(route, "path", "/"))) for route in app.routes})
    async with signed_in_client(app, user) as user_client:
        for path in (*paths[::10], "/admin/", "/admin/user/list", "/admin/nothing", "/static/site.css"):
            for visitor in (client, user_client):
                plain, german = await visitor.get(path), await visitor.get(f"/de{path}")
                assert german.status_code == plain.status_code, path
                csp = "content-security-policy"
                assert german.headers.get(csp) == plain.headers.get(csp), path


def test_e_mails_link_to_language_of_recipient(settings: Settings) -> None:
    email = render_email(settings, "ada@example.com", "accounts/mail/reset", {"token": "a"}, language="de")
    assert "http://127.0.0.1:8000/de/accounts/reset-password?token=a" in email.text
    with use_language("de"):
        paths = [localized_path(settings, path) for path in ("/?a=1", "/admin?a=1", "/ar/books")]
        assert paths == ["/de/?a=1", "/admin?a=1", "/ar/books"]
