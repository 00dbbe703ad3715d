"""Mailbox of development: stored e-mails and access to their pages."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from playwright.async_api import Page, expect

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.errors import NotFound
from opportune.mail import Attachment, mailbox, send_email
from opportune.mail.pages import log_mailbox_link
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.services.accessibility import find_violations
from tests.opportune.mail.conftest import email_to, settings_with

pytestmark = pytest.mark.usefixtures("mailbox_folder")
HTML = "<style>p { color: red }</style><p>Dear <b>Zoë</b></p><script>document.body.remove()</script>"


async def store_email(
    number: int = 1, environment: str = "development", to: str = "ada@example.com", **fields: Any
) -> str:
    """Send an e-mail in development and return its name in the mailbox."""
    date = f"Fri, 20 Nov 2026 13:{number // 60:02}:{number % 60:02} +0000"
    email = email_to(to, message_id=f"<{number:04x}@example.org>", date=date, **fields)
    await send_email(settings_with(environment=environment), email)
    return f"20261120T13{number // 60:02}{number % 60:02}-{number:04x}"


async def test_mailbox_lists_newest_first() -> None:
    names = [await store_email(number, subject=f"E-mail {number}") for number in (2, 1, 3)]
    assert [message.name for message in mailbox.list_messages()] == sorted(names, reverse=True)
    message = mailbox.find_message(names[1])
    assert message.header("Subject") == "E-mail 1"
    assert (message.body("plain").strip(), message.body("html")) == ("A text.", "")


async def test_mailbox_deletes_old_emails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_STORED_MESSAGES", 2)
    for number in range(4):
        await store_email(number)
    assert [message.name[-4:] for message in mailbox.list_messages()] == ["0003", "0002"]


async def test_unknown_email_is_not_found() -> None:
    await store_email()
    for name in ["", "20261120T130001-0009", "../mailbox/20261120T130001-0001", "20261120T130001-0001.eml"]:
        with pytest.raises(NotFound):
            mailbox.find_message(name)


async def test_mailbox_escapes_text_emails(client: AsyncClient) -> None:
    text = "See https://example.org/a?b=c <now>\n"
    name = await store_email(to="Zoë <zoe@example.com>", subject="<b>Hello</b>", text=text)
    index = (await client.get("/mailbox")).text
    assert f'href="/mailbox/{name}"' in index
    assert "&lt;b&gt;Hello&lt;/b&gt;" in index
    page = (await client.get(f"/mailbox/{name}")).text
    assert "Zoë &lt;zoe@example.com&gt;" in page
    assert '<a href="https://example.org/a?b=c" rel="noopener" target="_blank">' in page
    assert "&lt;now&gt;" in page
    assert "iframe" not in page


async def test_html_of_an_email_is_sandboxed(client: AsyncClient) -> None:
    name = await store_email(html=HTML)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in (await client.get(f"/mailbox/{name}")).text
    response = await client.get(f"/mailbox/{name}/html")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert policy.endswith("sandbox allow-popups allow-popups-to-escape-sandbox")
    assert response.headers["x-frame-options"] == "SAMEORIGIN"


async def test_files_and_pictures_are_shown(client: AsyncClient) -> None:
    files = [Attachment("invoice.pdf", b"%PDF"), Attachment("logo.png", b"picture", content_id="logo")]
    name = await store_email(html='<img src="cid:logo">', attachments=files, cc="bob@example.com")
    page = (await client.get(f"/mailbox/{name}")).text
    assert "bob@example.com" in page
    assert "logo.png, invoice.pdf" in page
    html = (await client.get(f"/mailbox/{name}/html")).text
    assert html.strip() == f'<img src="data:image/png;base64,{files[1].base64}">'


@pytest.fixture
def link(app: FastAPI, caplog: pytest.LogCaptureFixture) -> str:
    with caplog.at_level(logging.INFO, "opportune.mail"):
        log_mailbox_link(app.state.settings)
    return caplog.messages[-1].partition("http://127.0.0.1:8000")[2]


@pytest.fixture
async def client(new_browser: AsyncClient, link: str) -> AsyncClient:
    """Browser in which the link was opened."""
    response = await new_browser.get(link)
    assert (response.status_code, response.headers["location"]) == (303, "/mailbox")
    return new_browser


@pytest.fixture
async def new_browser(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Browser that has not opened the link, on this machine or behind a proxy on it."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost:8000") as client:
        yield client


async def test_link_opens_the_mailbox_in_one_browser(app: FastAPI, new_browser: AsyncClient, link: str) -> None:
    cookie = (await new_browser.get(link)).headers["set-cookie"]
    assert all(part in cookie for part in ("Path=/mailbox;", "HttpOnly", "SameSite=lax", "Max-Age=2592000"))
    assert (await new_browser.get("/mailbox")).status_code == 200
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1:8000") as other_browser:
        assert (await other_browser.get("/mailbox")).status_code == 403


async def test_wrong_key_does_not_open_the_mailbox(new_browser: AsyncClient, link: str) -> None:
    for guess in ("", "?key=x", "?key=%ff", link.removeprefix("/mailbox/open")[:-1]):
        assert (await new_browser.get(f"/mailbox/open{guess}")).status_code == 403, guess
    for guess in ("", "x", "%FF"):
        response = await new_browser.get("/mailbox", headers={"Cookie": f"mailbox={guess}"})
        assert response.status_code == 403, guess
        assert "/mailbox/open?key=" in response.text


async def test_development_server_logs_the_link(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    for environment, count in (("development", 1), ("test", 0)):
        caplog.clear()
        with caplog.at_level(logging.INFO, "opportune.mail"):
            app = create_app(settings.model_copy(update={"environment": environment}))
            async with app.router.lifespan_context(app):
                pass
        assert sum("/mailbox/open?key=" in message for message in caplog.messages) == count


async def test_superusers_need_no_link(app: FastAPI, new_browser: AsyncClient) -> None:
    name = await store_email()
    paths = ["/mailbox", f"/mailbox/{name}", f"/mailbox/{name}/html"]
    assert [(await new_browser.get(path)).status_code for path in paths] == [403] * 3
    for is_superuser, status in ((False, 403), (True, 200)):
        user = await make_user(app.state.database, is_superuser=is_superuser)
        async with signed_in_client(app, user) as signed_in:
            new_browser.cookies = signed_in.cookies
            assert [(await new_browser.get(path)).status_code for path in paths] == [status] * 3


async def test_production_has_no_mailbox() -> None:
    app = create_app(settings_with(environment="production"))
    async with AsyncClient(transport=ASGITransport(app), base_url="https://example.org") as client:
        assert (await client.get("/mailbox")).status_code == 404
        assert "/mailbox" not in (await client.get("/nothing")).text


async def test_email_is_readable_in_a_browser(page: Page, site: str, link: str) -> None:
    html = '<base target="_blank"><p>Dear <a href="/">Zoë</a></p>'
    await store_email(subject="Your place", text="Plain words.\n", html=html)
    await page.goto(link)
    assert not await find_violations(page)
    await page.get_by_role("link", name="Your place").click()
    framed = page.frame_locator("iframe")
    await expect(framed.get_by_text("Dear Zoë")).to_be_visible()
    await expect(page.get_by_text("Plain words.")).to_be_visible()
    assert not await find_violations(page)
    async with page.expect_popup() as popup:
        await framed.get_by_role("link", name="Zoë").click()
    tab = await popup.value
    await expect(tab.get_by_label("Mailbox")).to_be_visible()
    assert tab.url == f"{site}/"


async def test_mailbox_is_empty_outside_development() -> None:
    await store_email(environment="test")
    assert mailbox.list_messages() == []


async def test_unwritable_mailbox_is_logged(mailbox_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.to_thread(mailbox_folder.touch)
    await store_email()
    (message,) = (record.getMessage() for record in caplog.records if record.name == "opportune.mail")
    assert message == f"the mailbox cannot be written: [Errno 17] File exists: '{mailbox_folder}'"
