"""Work taken off the event loop: the icons and the OpenAPI document."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from opportune.settings import Settings
from opportune.testing.quiet_app import quiet_app
from opportune.web.api_docs import OPENAPI
from opportune.web.rendering import icons, static_files
from opportune.web.rendering.static_files import assets
from opportune.web.warm_up import warm_up

pytestmark = pytest.mark.database("sqlite")


async def test_icons_are_read_in_a_thread_at_startup(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def read_icons() -> bytes:
        threads.append(threading.get_ident())
        return b""

    monkeypatch.setattr(icons, "sheet", read_icons)
    monkeypatch.setattr(assets, "_urls", {})
    monkeypatch.setattr(static_files, "CHECK_INTERVAL_SECONDS", 3600)
    await warm_up(app)
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()
    await client.get("/")
    assert len(threads) == 1


async def test_openapi_document_is_built_at_startup(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    built = threading.Event()
    monkeypatch.setattr(app, "openapi", built.set)
    await warm_up(app)
    assert built.wait(30)


async def test_openapi_route_builds_the_document_in_a_thread(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "openapi", lambda: {"thread": threading.get_ident()})
    assert (await client.get(OPENAPI)).json()["thread"] != threading.get_ident()


def test_openapi_document_is_whole_for_each_thread(settings: Settings) -> None:
    app = quiet_app(settings)
    with ThreadPoolExecutor(4) as pool:
        documents = set(pool.map(lambda _: repr(app.openapi()), range(4)))
    assert len(documents) == 1
