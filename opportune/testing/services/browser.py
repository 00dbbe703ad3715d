"""The site behind a real port, and Chromium to visit it."""

import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI

from opportune.testing.services.missing_programs import skip_for_missing

if TYPE_CHECKING:  # only tests in a browser need it
    from playwright.async_api import Browser, BrowserContext, Page

# The first that is installed is taken. The headless shell draws no windows of its own: a quarter less work a test.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, PROGRAMS)), None)

FEATURES_OFF = [
    # Pages of Chromium's own, which the address bar of each window would load: twice the work of a short test.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # Forms would be described to a server elsewhere.
    "AutofillServerCommunication",
    # What Playwright turns off that could change what a test sees: our list takes the place of its own.
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    # A process that waits for another site: most tests visit one.
    "SpareRendererForSitePerProcess",
    "ThirdPartyStoragePartitioning",
]

# A closed network and a container: nothing of its own to look up, and no sandbox for root.
ARGUMENTS = [
    f"--disable-features={','.join(FEATURES_OFF)}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A page lives for seconds: compiling its scripts well costs more than it saves.
    "--js-flags=--no-opt,--no-maglev",
    # A page that is not yet anywhere needs no process of its own.
    "--renderer-process-limit=1",
]

# htmx closes a finished stream by aborting it, and says so in the console, in the words of newer and older browsers.
HTMX_AT_A_STREAMS_END = ("signal is aborted without reason", "BodyStreamBuffer was aborted")
# A refused form is a 4xx that Chromium reports too.
NO_COMPLAINTS = (*HTMX_AT_A_STREAMS_END, "status of 4")


@asynccontextmanager
async def serve(app: FastAPI, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """The address of a started application on a port of this machine. Its lifespan is the caller's."""
    import uvicorn  # noqa: PLC0415 - as above

    with listener.dup() if listener else _listening() as own:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[own])
        try:
            yield _address(own)
        finally:
            await server.shutdown()


def _listening() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


def _address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="session")
def site_listener() -> Iterator[socket.socket]:
    """One port for the sites of all tests: what Chromium keeps of one it need not fetch and compile for the next."""
    with _listening() as listener:
        yield listener


@pytest.fixture
async def site(app: FastAPI, site_listener: socket.socket) -> AsyncIterator[str]:
    """The address of the site, on each kind of database."""
    async with serve(app, site_listener) as address:
        yield address


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator["Browser"]:
    if CHROMIUM is None:
        skip_for_missing("Chromium", "apt install chromium-headless-shell")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def browser_contexts(chromium: "Browser") -> AsyncIterator[dict[bool, "BrowserContext"]]:
    """Those that visits have had so far, by whether they run JavaScript."""
    contexts: dict[bool, BrowserContext] = {}
    yield contexts
    for context in contexts.values():
        await context.close()


@pytest.fixture
async def page(chromium: "Browser", browser_contexts: dict[bool, "BrowserContext"], site: str) -> AsyncIterator["Page"]:
    """A visitor's page. The test fails if the browser's console shows an error or a refusal of the site's policy."""
    complaints: list[str] = []
    async with _visit(chromium, browser_contexts, site, runs_javascript=True) as page:
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
    ours = [text for text in complaints if not any(words in text for words in NO_COMPLAINTS)]
    assert not ours, ours


@pytest.fixture
async def plain_page(
    chromium: "Browser", browser_contexts: dict[bool, "BrowserContext"], site: str
) -> AsyncIterator["Page"]:
    """The page of a visitor whose browser runs no JavaScript, and shares nothing with that of `page`."""
    async with _visit(chromium, browser_contexts, site, runs_javascript=False) as page:
        yield page


@asynccontextmanager
async def _visit(
    browser: "Browser", contexts: dict[bool, "BrowserContext"], site: str, *, runs_javascript: bool
) -> AsyncIterator["Page"]:
    """Of former visits the browser has kept files of the site, and nothing else."""
    if runs_javascript not in contexts:
        # Without motion: a click waits until what moves has come to rest.
        contexts[runs_javascript] = await browser.new_context(
            base_url=site, java_script_enabled=runs_javascript, reduced_motion="reduce"
        )
        # The first stays: Chromium ends a process that has no page, and begins one for the next.
        await (await contexts[runs_javascript].new_page()).goto("/robots.txt")
    context = contexts[runs_javascript]
    page = await context.new_page()
    page.set_default_timeout(15_000)
    devtools = await context.new_cdp_session(page)
    await devtools.send("Storage.clearDataForOrigin", {"origin": site, "storageTypes": "all"})
    await devtools.detach()
    await context.clear_cookies()
    await context.clear_permissions()
    yield page
    has_own_clock = not await _has_the_machines_clock(page)
    for opened in context.pages[1:]:
        await opened.close()
    if has_own_clock:  # a clock that a test has set is that of all pages to come
        await contexts.pop(runs_javascript).close()


async def _has_the_machines_clock(page: "Page") -> bool:
    from playwright.async_api import Error

    try:
        return bool(await page.evaluate("setTimeout.toString().includes('[native code]')"))
    except Error:  # it is closed, or on its way elsewhere: nobody knows
        return False
