import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from playwright.async_api import Page

from app.core.errors import NotFound
from app.core.mail import mailbox
from app.core.mail.sending import deliver
from app.main import create_app
from tests.core.mail.conftest import letter_to, settings_with
from tests.factories import make_user, signed_in_client

HTML = "<style>p { color: red }</style><p>Dear <b>Zoë</b></p><script>document.body.remove()</script>"


async def put(number: int = 1, environment: str = "development", to: str = "ada@example.com", **fields: str) -> str:
    """Send a letter in development and give its name in the mailbox."""
    date = f"Fri, 20 Nov 2026 13:{number // 60:02}:{number % 60:02} +0000"
    letter = letter_to(to, message_id=f"<{number:04x}@example.org>", date=date, **fields)
    await deliver(settings_with(environment=environment), letter)
    return f"20261120T13{number // 60:02}{number % 60:02}-{number:04x}"


async def test_what_is_sent_in_development_is_kept_newest_first(folder: Path) -> None:
    names = [await put(number, subject=f"Letter {number}") for number in (2, 1, 3)]
    assert [kept.name for kept in mailbox.letters()] == sorted(names, reverse=True)
    found = mailbox.find(names[1])
    assert (found.header("Subject"), found.body("plain").strip(), found.body("html")) == ("Letter 1", "A text.", "")


async def test_only_so_many_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MOST", 2)
    for number in range(4):
        await put(number)
    assert [kept.name[-4:] for kept in mailbox.letters()] == ["0003", "0002"]


async def test_elsewhere_nothing_is_kept(folder: Path) -> None:
    await put(environment="test")
    assert mailbox.letters() == []


async def test_a_letter_that_was_sent_is_not_sent_again_for_a_mailbox_that_cannot_be_written(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(folder.touch)
    caplog.set_level(logging.WARNING, "app.mail")
    await put()
    assert caplog.messages == [f"the mailbox cannot be written: [Errno 17] File exists: '{folder}'"]


@pytest.mark.parametrize(
    "name", ["", "20261120T130001-0009", "../mailbox/20261120T130001-0001", "20261120T130001-0001.eml"]
)
async def test_what_is_not_in_the_mailbox_is_not_found(folder: Path, name: str) -> None:
    await put()
    with pytest.raises(NotFound):
        mailbox.find(name)


async def test_the_mailbox_lists_letters_and_shows_each(folder: Path, client: AsyncClient) -> None:
    name = await put(to="Zoë <zoe@example.com>", subject="<b>Hello</b>", text="See https://example.org/a?b=c <now>\n")
    listed = (await client.get("/mailbox")).text
    assert f'href="/mailbox/{name}"' in listed
    assert "&lt;b&gt;Hello&lt;/b&gt;" in listed
    shown = (await client.get(f"/mailbox/{name}")).text
    assert "Zoë &lt;zoe@example.com&gt;" in shown
    assert '<a href="https://example.org/a?b=c" rel="noopener" target="_blank">' in shown
    assert "&lt;now&gt;" in shown
    assert "iframe" not in shown, "it has no HTML"


async def test_an_empty_mailbox_says_how_to_fill_it(folder: Path, client: AsyncClient) -> None:
    assert "sendtestemail" in (await client.get("/mailbox")).text


async def test_html_of_a_letter_is_shown_where_nothing_in_it_can_run(folder: Path, client: AsyncClient) -> None:
    name = await put(html=HTML)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in (await client.get(f"/mailbox/{name}")).text
    response = await client.get(f"/mailbox/{name}/html")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert policy.endswith("sandbox allow-popups allow-popups-to-escape-sandbox")
    assert response.headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    "path",
    [
        "/mailbox/20261120T130009-0009",
        "/mailbox/20261120T130009-0009/html",
        "/mailbox/a.eml",
        f"/mailbox/20261120T130009-{'0' * 300}",
    ],
)
async def test_a_letter_that_is_gone_is_not_found(folder: Path, client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A browser on the machine that runs the site."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost:8000") as client:
        yield client


@pytest.mark.parametrize("header", [("X-Forwarded-For", "203.0.113.9"), ("Host", "example.org:8000")])
async def test_who_comes_through_a_tunnel_or_by_another_name_is_a_stranger(
    folder: Path, client: AsyncClient, header: tuple[str, str]
) -> None:
    assert (await client.get("/mailbox")).status_code == 200
    assert (await client.get("/mailbox", headers=[header])).status_code == 403


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A browser on another machine."""
    async with AsyncClient(transport=ASGITransport(app, client=("203.0.113.9", 1)), base_url="http://testserver") as it:
        yield it


async def test_on_other_machines_only_superusers_read_letters(
    folder: Path, app: FastAPI, stranger: AsyncClient
) -> None:
    paths = ["/mailbox", f"/mailbox/{(name := await put())}", f"/mailbox/{name}/html"]
    assert [(await stranger.get(path)).status_code for path in paths] == [403] * 3
    for is_superuser, status in ((False, 403), (True, 200)):
        user = await make_user(app.state.database, is_superuser=is_superuser)
        async with signed_in_client(app, user) as signed_in:
            stranger.cookies = signed_in.cookies
            assert [(await stranger.get(path)).status_code for path in paths] == [status] * 3


async def test_production_has_no_mailbox(folder: Path) -> None:
    app = create_app(settings_with(environment="production"))
    async with AsyncClient(transport=ASGITransport(app), base_url="https://example.org") as client:
        assert (await client.get("/mailbox")).status_code == 404
        assert "/mailbox" not in (await client.get("/nothing")).text


@pytest.mark.e2e
async def test_a_letter_can_be_read_in_a_browser(folder: Path, page: Page, site: str) -> None:
    await put(subject="Your place", text="Plain words.\n", html='<base target="_blank"><p>Dear <a href="/">Zoë</a></p>')
    await page.goto("/")
    await page.get_by_label("Mailbox").click()
    await page.get_by_role("link", name="Your place").click()
    framed = page.frame_locator("iframe")
    assert await framed.get_by_text("Dear Zoë").is_visible()
    assert await page.get_by_text("Plain words.").is_visible()
    async with page.expect_popup() as opened:
        await framed.get_by_role("link", name="Zoë").click()
    beside = await opened.value
    await beside.wait_for_load_state()
    assert beside.url == f"{site}/"
