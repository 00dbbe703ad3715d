"""A site on a local port, and Chromium to visit it."""

import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI

from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.web_server import local_listener, serving

if TYPE_CHECKING:  # only browser tests need it
    from playwright.async_api import Browser, BrowserContext, Page

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first installed one is used. The headless shell draws no windows, which saves time."""
CHROMIUM = next(filter(None, map(shutil.which, PROGRAMS)), None)

FEATURES_OFF = [
    # Chromium's own pages would load for the address bar of each window, which doubles the time of a short test.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # Autofill would describe forms to a server.
    "AutofillServerCommunication",
    # Defaults of Playwright that could change results; this list replaces them.
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    # A spare process for another site, but most tests visit one.
    "SpareRendererForSitePerProcess",
    "ThirdPartyStoragePartitioning",
]

ARGUMENTS = [
    f"--disable-features={','.join(FEATURES_OFF)}",
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
    # Pages live for seconds, so optimising their scripts costs more than it saves.
    "--js-flags=--no-opt,--no-maglev",
    # A blank page needs no process.
    "--renderer-process-limit=1",
]  # fmt: skip
"""Options for closed networks and containers: no lookups, and no sandbox for root."""

MAX_WAIT_MS = 30_000
"""Time in which a page must reach a state. A busy machine needs many times as long as an idle one."""

STREAM_END_MESSAGES = ("signal is aborted without reason", "BodyStreamBuffer was aborted")
"""Messages of browsers when htmx aborts a finished stream."""
# Chromium also logs the 4xx response of a refused form.
IGNORED_MESSAGES = (*STREAM_END_MESSAGES, "status of 4", "ERR_INTERNET_DISCONNECTED")


@asynccontextmanager
async def serve(app: FastAPI, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """Serve a started application on a local port, and yield its address. The caller runs its lifespan."""
    async with serving(app, listener) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def site_listener() -> Iterator[socket.socket]:
    """One port for all tests, so that Chromium reuses its cached files and compiled scripts."""
    with local_listener() as listener:
        yield listener


@pytest.fixture
async def site(app: FastAPI, site_listener: socket.socket) -> AsyncIterator[str]:
    """Address of the site, on each database."""
    async with serve(app, site_listener) as url:
        yield url


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator["Browser"]:
    if CHROMIUM is None:
        skip_for_missing("Chromium", "apt install chromium-headless-shell")
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=MAX_WAIT_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def browser_contexts(chromium: "Browser") -> AsyncIterator[dict[bool, "BrowserContext"]]:
    """Browser contexts by whether they run JavaScript."""
    contexts: dict[bool, BrowserContext] = {}
    yield contexts
    for context in contexts.values():
        await context.close()


@pytest.fixture
async def page(chromium: "Browser", browser_contexts: dict[bool, "BrowserContext"], site: str) -> AsyncIterator["Page"]:
    """A page of a visitor. The test fails if the console shows an error or a violation of the security policy."""
    console_errors: list[str] = []
    async with _visit(chromium, browser_contexts, site, runs_javascript=True) as page:
        page.on("console", lambda message: console_errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: console_errors.append(str(error)))
        yield page
    errors = [text for text in console_errors if not any(ignored in text for ignored in IGNORED_MESSAGES)]
    assert not errors, errors


@pytest.fixture
async def plain_page(
    chromium: "Browser", browser_contexts: dict[bool, "BrowserContext"], site: str
) -> AsyncIterator["Page"]:
    """A page without JavaScript, which shares no state with `page`."""
    async with _visit(chromium, browser_contexts, site, runs_javascript=False) as page:
        yield page


@asynccontextmanager
async def _visit(
    browser: "Browser", contexts: dict[bool, "BrowserContext"], site: str, *, runs_javascript: bool
) -> AsyncIterator["Page"]:
    """Yield a page that shares only cached files with earlier visits."""
    if runs_javascript not in contexts:
        contexts[runs_javascript] = await _open_context(browser, site, runs_javascript=runs_javascript)
    context = contexts[runs_javascript]
    page = await context.new_page()
    page.set_default_timeout(MAX_WAIT_MS)
    await _clear_site_data(page, site)
    yield page
    has_fake_clock = await _has_fake_clock(page)
    for opened in context.pages[1:]:
        await opened.close()
    if has_fake_clock:  # it applies to all later pages
        await contexts.pop(runs_javascript).close()


async def _open_context(browser: "Browser", site: str, *, runs_javascript: bool) -> "BrowserContext":
    # Reduced motion, because clicks wait for animations.
    context = await browser.new_context(base_url=site, java_script_enabled=runs_javascript, reduced_motion="reduce")
    # The first page stays open, because Chromium ends a process without pages.
    first_page = await context.new_page()
    await first_page.goto("/robots.txt")
    return context


async def _clear_site_data(page: "Page", site: str) -> None:
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Storage.clearDataForOrigin", {"origin": site, "storageTypes": "all"})
    await devtools.detach()
    await page.context.clear_cookies()
    await page.context.clear_permissions()


async def _has_fake_clock(page: "Page") -> bool:
    from playwright.async_api import Error

    try:
        return not await page.evaluate("setTimeout.toString().includes('[native code]')")
    except Error:  # the page is closed or navigating, so it is unknown
        return True
