import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from playwright.async_api import Page, expect

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.errors import NotFound
from opportune.mail import mailbox
from opportune.mail.delivery import send_email
from opportune.mail.pages import log_mailbox_link
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.mail.conftest import email_to, settings_with

pytestmark = pytest.mark.database("sqlite")

HTML = "<style>p { color: red }</style><p>Dear <b>Zoë</b></p><script>document.body.remove()</script>"


async def put(number: int = 1, environment: str = "development", to: str = "ada@example.com", **fields: str) -> str:
    """Send an e-mail in development and give its name in the mailbox."""
    date = f"Fri, 20 Nov 2026 13:{number // 60:02}:{number % 60:02} +0000"
    email = email_to(to, message_id=f"<{number:04x}@example.org>", date=date, **fields)
    await send_email(settings_with(environment=environment), email)
    return f"20261120T13{number // 60:02}{number % 60:02}-{number:04x}"


async def test_what_is_sent_in_development_is_kept_newest_first(mailbox_folder: Path) -> None:
    names = [await put(number, subject=f"E-mail {number}") for number in (2, 1, 3)]
    assert [kept.name for kept in mailbox.list_messages()] == sorted(names, reverse=True)
    found = mailbox.find_message(names[1])
    assert (found.header("Subject"), found.body("plain").strip(), found.body("html")) == ("E-mail 1", "A text.", "")


async def test_only_so_many_are_kept(mailbox_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_STORED_MESSAGES", 2)
    for number in range(4):
        await put(number)
    assert [kept.name[-4:] for kept in mailbox.list_messages()] == ["0003", "0002"]


async def test_elsewhere_nothing_is_kept(mailbox_folder: Path) -> None:
    await put(environment="test")
    assert mailbox.list_messages() == []


async def test_an_email_that_was_sent_is_not_sent_again_for_a_mailbox_that_cannot_be_written(
    mailbox_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(mailbox_folder.touch)
    await put()
    (message,) = (record.getMessage() for record in caplog.records if record.name == "opportune.mail")
    assert message == f"the mailbox cannot be written: [Errno 17] File exists: '{mailbox_folder}'"


async def test_what_is_not_in_the_mailbox_is_not_found(mailbox_folder: Path) -> None:
    for name in ["", "20261120T130001-0009", "../mailbox/20261120T130001-0001", "20261120T130001-0001.eml"]:
        await put()
        with pytest.raises(NotFound):
            mailbox.find_message(name)


async def test_the_mailbox_lists_emails_and_shows_each_with_html_where_nothing_in_it_can_run(
    mailbox_folder: Path, client: AsyncClient
) -> None:
    name = await put(to="Zoë <zoe@example.com>", subject="<b>Hello</b>", text="See https://example.org/a?b=c <now>\n")
    listed = (await client.get("/mailbox")).text
    assert f'href="/mailbox/{name}"' in listed
    assert "&lt;b&gt;Hello&lt;/b&gt;" in listed
    shown = (await client.get(f"/mailbox/{name}")).text
    assert "Zoë &lt;zoe@example.com&gt;" in shown
    assert '<a href="https://example.org/a?b=c" rel="noopener" target="_blank">' in shown
    assert "&lt;now&gt;" in shown
    assert "iframe" not in shown, "it has no HTML"

    name = await put(html=HTML)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in (await client.get(f"/mailbox/{name}")).text
    response = await client.get(f"/mailbox/{name}/html")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert policy.endswith("sandbox allow-popups allow-popups-to-escape-sandbox")
    assert response.headers["x-frame-options"] == "SAMEORIGIN"


async def test_an_empty_mailbox_says_how_to_fill_it_and_an_email_that_is_gone_is_not_found(
    mailbox_folder: Path, client: AsyncClient
) -> None:
    assert "sendtestemail" in (await client.get("/mailbox")).text

    for path in [
        "/mailbox/20261120T130009-0009",
        "/mailbox/20261120T130009-0009/html",
        "/mailbox/a.eml",
        f"/mailbox/20261120T130009-{'0' * 300}",
    ]:
        assert (await client.get(path)).status_code == 404


@pytest.fixture
def link(app: FastAPI, caplog: pytest.LogCaptureFixture) -> str:
    """What is logged at the start, without the site's address."""
    with caplog.at_level(logging.INFO, "opportune.mail"):
        log_mailbox_link(app.state.settings)
    return caplog.messages[-1].partition("http://127.0.0.1:8000")[2]


@pytest.fixture
async def client(stranger: AsyncClient, link: str) -> AsyncClient:
    """A browser in which the link has been opened."""
    opened = await stranger.get(link)
    assert (opened.status_code, opened.headers["location"]) == (303, "/mailbox")
    return stranger


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A browser on this machine, or behind a proxy on it that rewrites the name and adds no header."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost:8000") as it:
        yield it


async def test_the_link_counts_for_the_browser_that_opens_it_and_for_the_mailbox_alone(
    mailbox_folder: Path, app: FastAPI, stranger: AsyncClient, link: str
) -> None:
    kept = (await stranger.get(link)).headers["set-cookie"]
    assert all(part in kept for part in ("Path=/mailbox;", "HttpOnly", "SameSite=lax", "Max-Age=2592000"))
    assert (await stranger.get("/mailbox")).status_code == 200
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1:8000") as another:
        assert (await another.get("/mailbox")).status_code == 403


async def test_no_other_key_opens_it(mailbox_folder: Path, stranger: AsyncClient, link: str) -> None:
    for guess in ("", "?key=", "?key=x", "?key=%00", "?key=%ff", link.removeprefix("/mailbox/open")[:-1]):
        assert (await stranger.get(f"/mailbox/open{guess}")).status_code == 403, guess
    for guess in ("", "x", "%FF"):
        answer = await stranger.get("/mailbox", headers={"Cookie": f"mailbox={guess}"})
        assert answer.status_code == 403, guess
        assert "/mailbox/open?key=" in answer.text, "it says how"


async def test_a_development_server_logs_the_link_at_its_start(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    for environment, count in (("development", 1), ("test", 0)):
        caplog.clear()
        with caplog.at_level(logging.INFO, "opportune.mail"):
            app = create_app(settings.model_copy(update={"environment": environment}))
            async with app.router.lifespan_context(app):
                pass
        assert sum("/mailbox/open?key=" in message for message in caplog.messages) == count


async def test_without_the_link_only_superusers_read_emails(
    mailbox_folder: Path, app: FastAPI, stranger: AsyncClient
) -> None:
    paths = ["/mailbox", f"/mailbox/{(name := await put())}", f"/mailbox/{name}/html"]
    assert [(await stranger.get(path)).status_code for path in paths] == [403] * 3
    for is_superuser, status in ((False, 403), (True, 200)):
        user = await make_user(app.state.database, is_superuser=is_superuser)
        async with signed_in_client(app, user) as signed_in:
            stranger.cookies = signed_in.cookies
            assert [(await stranger.get(path)).status_code for path in paths] == [status] * 3


async def test_production_has_no_mailbox(mailbox_folder: Path) -> None:
    app = create_app(settings_with(environment="production"))
    async with AsyncClient(transport=ASGITransport(app), base_url="https://example.org") as client:
        assert (await client.get("/mailbox")).status_code == 404
        assert "/mailbox" not in (await client.get("/nothing")).text


async def test_an_email_can_be_read_in_a_browser(mailbox_folder: Path, page: Page, site: str, link: str) -> None:
    await put(subject="Your place", text="Plain words.\n", html='<base target="_blank"><p>Dear <a href="/">Zoë</a></p>')
    await page.goto(link)
    await page.get_by_role("link", name="Your place").click()
    framed = page.frame_locator("iframe")
    await expect(framed.get_by_text("Dear Zoë")).to_be_visible()
    await expect(page.get_by_text("Plain words.")).to_be_visible()
    async with page.expect_popup() as opened:
        await framed.get_by_role("link", name="Zoë").click()
    beside = await opened.value
    await expect(beside.get_by_label("Mailbox")).to_be_visible()
    assert beside.url == f"{site}/"
