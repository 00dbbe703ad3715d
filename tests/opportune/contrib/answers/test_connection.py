"""Answers over lost connections, in Chromium: streams resume without missing or repeated text."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, Page, expect

from opportune.contrib.answers.engine import live, shown
from opportune.contrib.llm import FakeProvider
from opportune.testing import make_user, sign_in_browser
from opportune.testing.services.browser import MAX_WAIT_MS
from tests.opportune.contrib.answers.question_page import app

__all__ = ["app"]  # a fixture

BEGINNING, REST = "# Title\n\nThe first part", " goes on.\n\n- a\n- b\n\nThe end."
LOST_MESSAGE = "Connection lost, trying again"


class FaultyProxy:
    """Proxy between browser and site, which can silently drop connections or be switched off."""

    def __init__(self, site: str) -> None:
        self.site = site.removeprefix("http://").split(":")
        self.port = 0
        self.is_silent = False
        self._connections: list[Connection] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for connection in self._connections:
            connection.abort()

    def drop_packets(self) -> None:
        self.is_silent = True
        for connection in self._connections:
            connection.drops_packets = True

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_site = await asyncio.open_connection(*self.site)
        connection = Connection(writer, to_site, drops_packets=self.is_silent)
        self._connections.append(connection)
        await asyncio.gather(connection.forward(reader, to_site), connection.forward(upstream, writer))


@dataclass
class Connection:
    to_browser: asyncio.StreamWriter
    to_site: asyncio.StreamWriter
    drops_packets: bool

    def abort(self) -> None:
        self.to_browser.transport.abort()
        self.to_site.transport.abort()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if not self.drops_packets:
                    writer.write(data)
        if not self.drops_packets:
            writer.close()


@pytest.fixture
async def proxy(site: str) -> AsyncIterator[FaultyProxy]:
    proxy = FaultyProxy(site)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
async def page(chromium: Browser, app: FastAPI, proxy: FaultyProxy) -> AsyncIterator[Page]:
    """A page of a signed-in user behind the proxy, with a clock that tests can advance.

    Messages of Chromium about lost connections are expected.
    """
    address = f"http://127.0.0.1:{proxy.port}"
    async with await chromium.new_context(base_url=address) as context:
        page = await context.new_page()
        page.set_default_timeout(MAX_WAIT_MS)
        await page.clock.install()
        await sign_in_browser(page, app, await make_user(app.state.database), address)
        yield page


@pytest.fixture
def gate(app: FastAPI) -> asyncio.Event:
    gate = asyncio.Event()
    app.state.llm.provider = FakeProvider(BEGINNING, gate, REST)
    return gate


async def pass_time(page: Page, seconds: float, times: int = 1) -> None:
    """Advance the page's clock repeatedly by some seconds; each time, its intervals run once."""
    for _ in range(times):
        await page.clock.fast_forward(int(1000 * seconds))


async def ask_and_wait_for_text(page: Page) -> None:
    await page.goto("/waves")
    await page.get_by_label("Your question").fill("Tell me")
    async with page.expect_response("**/stream?after=*"):
        await page.get_by_label("Your question").press("Enter")
    await expect(page.get_by_role("article", name="Answer")).to_contain_text("The first part")


async def expect_whole_answer(page: Page) -> None:
    answer = page.get_by_role("article", name="Answer")
    await expect(answer.get_by_text("Stop")).to_have_count(0, timeout=30_000)
    await expect(answer.locator(".markdown").first).to_have_text("Title The first part goes on. a b The end.")
    await expect(answer.locator("h1, li")).to_have_text(["Title", "a", "b"])
    await expect(page.get_by_text(LOST_MESSAGE)).to_be_hidden()


async def test_silent_streams_are_reconnected(
    page: Page, proxy: FaultyProxy, gate: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_INTERVAL_SECONDS", 0.1)
    await page.add_init_script("let n = 0; addEventListener('ping', () => document.documentElement.dataset.n = ++n)")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "/stream" in request.url else None)
    await ask_and_wait_for_text(page)
    await wait_in_silence(page)
    assert len(requests) == 1
    proxy.drop_packets()
    gate.set()
    await pass_time(page, shown.SILENCE_TIMEOUT_SECONDS + 1)
    await expect(page.get_by_text(LOST_MESSAGE)).to_be_visible()
    proxy.is_silent = False
    await pass_time(page, shown.SILENCE_TIMEOUT_SECONDS / 4 + 1, 9)  # the browser may first try its old connections
    await expect_whole_answer(page)


async def wait_in_silence(page: Page) -> None:
    """Let more time pass than the page tolerates in silence, while the server sends pings."""
    for _ in range(3):
        await page.evaluate("document.documentElement.dataset.n = n = 0")
        await expect(page.locator("html")).to_have_attribute("data-n", re.compile(r"[1-9]"))
        await pass_time(page, shown.SILENCE_TIMEOUT_SECONDS / 2)


async def test_restarted_server_continues_the_stream(page: Page, proxy: FaultyProxy, gate: asyncio.Event) -> None:
    await ask_and_wait_for_text(page)
    await proxy.stop()
    await expect(page.get_by_text(LOST_MESSAGE)).to_be_visible()
    gate.set()
    await proxy.start()
    await pass_time(page, 5)
    await expect_whole_answer(page)
