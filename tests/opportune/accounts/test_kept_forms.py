"""Forms that were rendered in another session: no row for another user, and no lost text."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.accounts import User, kept_forms
from opportune.accounts.models import Attempt
from opportune.db import Database
from opportune.testing import PASSWORD, make_user, sign_in
from opportune.testing.fixtures import superuser_client as browser
from opportune.web import RateLimit
from tests.opportune.crud.library import Note
from tests.opportune.crud.pages_feature import library
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import read_all

__all__ = ["browser"]
NEW_NOTE = "/notes/new"
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
TEXT = "Buy “milk” & <bread>"
HIDDEN = re.compile(r'<input type="hidden" name="(form_user|form_token)" value="([^"]*)"')
app = site_fixture(library)


@pytest.fixture
async def bob(database: Database) -> User:
    return await make_user(database, is_superuser=True)


async def open_form(browser: AsyncClient, page: str = NEW_NOTE) -> dict[str, str]:
    return dict(HIDDEN.findall((await browser.get(page)).text))


async def send(browser: AsyncClient, page: str, form: dict[str, str], path: str = "", **headers: str) -> Response:
    return await browser.post(path or page, data=form, headers={"Referer": f"{browser.base_url}{page}", **headers})


async def send_as(
    app: FastAPI, browser: AsyncClient, user: User, form: dict[str, str], path: str = NEW_NOTE, **headers: str
) -> Response:
    """Open the form of a new note, sign in as this user, and send the form."""
    hidden = await open_form(browser)
    await sign_in(browser, app, user)
    return await send(browser, NEW_NOTE, hidden | form, path, **headers)


async def send_signed_out(browser: AsyncClient, form: dict[str, str], page: str = NEW_NOTE, **send_to: str) -> Response:
    """Open the form of a page, lose the session, and send the form."""
    hidden = await open_form(browser, page)
    browser.cookies.clear()
    return await send(browser, page, hidden | form, **send_to)


async def follow(browser: AsyncClient, response: Response) -> str:
    """Return the text of the page after a redirect, without places to wrap e-mail addresses."""
    page = await browser.get(response.headers.get("location") or response.headers["HX-Redirect"])
    return unescape(page.text).replace("<wbr>", "")


async def stored_texts(database: Database) -> list[str]:
    return [note.text for note in await read_all(database, Note)]


async def log_in(browser: AsyncClient, user: User, login_url: str) -> str:
    """Sign in by the page with this URL, and return the text of the next page."""
    page = parse_qs(urlsplit(login_url).query)["next"][0]
    response = await browser.post("/accounts/login", data={"email": user.email, "password": PASSWORD, "next": page})
    assert response.headers["location"] == page
    return await follow(browser, response)


async def test_form_is_not_stored_for_others(app: FastAPI, browser: AsyncClient, database: Database, bob: User) -> None:
    response = await send_as(app, browser, bob, {"text": TEXT})
    assert (response.status_code, await stored_texts(database)) == (303, [])
    page = await follow(browser, response)
    assert f"You are signed in as <strong>{bob.email}</strong> now" in page
    assert f'value="{TEXT}"' in page
    await send(browser, NEW_NOTE, await open_form(browser, response.headers["location"]) | {"text": TEXT})
    assert await stored_texts(database) == [TEXT], "the present user sends the form again"


@pytest.mark.parametrize("page", ["/admin/group/list", "/volumes/new"])
async def test_each_form_belongs_to_its_user(app: FastAPI, browser: AsyncClient, bob: User, page: str) -> None:
    html = (await browser.get(page)).text
    await sign_in(browser, app, bob)
    tags = re.findall(r'(<form[^>]*method="post"[^>]*>)\s*(<input type="hidden" name="form_user")?', html)
    assert [tag for tag, field in tags if not field and "data-any-user" not in tag] == []
    response = await send(browser, page, dict(HIDDEN.findall(html)) | {"content": TEXT})
    assert response.status_code == 303
    assert response.headers["location"].startswith(f"{page}?kept_form=")


@pytest.mark.parametrize("field", ["body", "header"])
async def test_htmx_loads_page_of_the_current_user(app: FastAPI, browser: AsyncClient, bob: User, field: str) -> None:
    form = await open_form(browser)
    await sign_in(browser, app, bob)
    mark = form.pop("form_user")
    sent, headers = ({"form_user": mark}, HTMX) if field == "body" else ({}, HTMX | {"Form-User": mark})
    response = await send(browser, NEW_NOTE, form | sent | {"text": TEXT}, **headers)
    assert response.status_code == 409
    assert TEXT in await follow(browser, response)
    assert await stored_texts(app.state.database) == []


@pytest.mark.parametrize(("page", "name"), [(NEW_NOTE, "text"), ("/admin/group/create", "name")])
async def test_text_is_shown_after_signing_in(browser: AsyncClient, superuser: User, page: str, name: str) -> None:
    response = await send_signed_out(browser, {name: TEXT}, page)
    assert "Your text is kept" in await follow(browser, response)
    shown = await log_in(browser, superuser, response.headers["location"])
    assert "Your text is in the form" in shown
    assert re.search(rf'value="{TEXT}"|<textarea name="{name}"[^>]*>{TEXT}<', shown)


async def test_text_for_htmx_is_shown_to_its_user_only(browser: AsyncClient, superuser: User, bob: User) -> None:
    response = await send_signed_out(browser, {"text": TEXT}, **HTMX)
    assert response.status_code == 401
    assert TEXT in await log_in(browser, superuser, response.headers["HX-Redirect"])
    response = await send_signed_out(browser, {"text": TEXT})
    page = await log_in(browser, bob, response.headers["location"])
    assert TEXT not in page
    assert "belongs to another account" in page


async def test_text_returns_to_the_form_with_its_fields(browser: AsyncClient, superuser: User) -> None:
    change = {"email": "new@example.com", "current_password": PASSWORD}
    response = await send_signed_out(browser, change, "/accounts/profile", path="/accounts/profile/email")
    page = await log_in(browser, superuser, response.headers["location"])
    assert re.search(r'value="new@example.com"[^>]* name="email"', page)
    assert PASSWORD not in page


async def test_kept_texts_are_encrypted_without_secrets(browser: AsyncClient, database: Database) -> None:
    form = await open_form(browser, "/accounts/password")
    browser.cookies.clear()
    passwords = {"current_password": PASSWORD, "new_password": TEXT}
    assert "kept_form" not in (await send(browser, "/accounts/password", form | passwords)).headers["location"]
    await send(browser, NEW_NOTE, form | {"text": TEXT, "password": PASSWORD})
    (stored,) = [attempt.result for attempt in await read_all(database, Attempt) if attempt.result]
    assert TEXT not in stored


async def test_kept_texts_are_limited_by_address(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_forms, "KEEP_LIMIT", RateLimit("kept", 2, 3600))
    forms = [{"form_user": f"{number:022}", "text": TEXT} for number in range(4)]
    urls = [(await send(client, NEW_NOTE, form)).headers["location"] for form in forms]
    assert ["kept_form" in url for url in urls] == [True, True, False, False]


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
async def test_button_of_another_user_changes_nothing(
    app: FastAPI, browser: AsyncClient, database: Database, bob: User, headers: dict[str, str]
) -> None:
    await send(browser, NEW_NOTE, {"text": TEXT})
    page = await follow(browser, await send_as(app, browser, bob, {}, "/notes/1/delete", **headers))
    assert f"You are signed in as <strong>{bob.email}</strong> now" in page
    assert "This is your text" not in page
    assert await stored_texts(database) == [TEXT]
