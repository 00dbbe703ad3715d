"""Slow work in threads: hashes of static files and the OpenAPI document."""

import threading

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.web.rendering import warm_up
from opportune.web.static.files import ICONS_FILE, assets


async def test_startup_fills_caches(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    threads_by_name: dict[str, int] = {}
    read = assets.content

    def read_and_record(name: str) -> bytes:
        threads_by_name[name] = threading.get_ident()
        return read(name)

    monkeypatch.setattr(warm_up, "DELAY_SECONDS", 0)
    monkeypatch.setattr(assets, "content", read_and_record)
    monkeypatch.setattr(assets, "_urls", {})
    monkeypatch.setattr(assets, "_digests", {})
    monkeypatch.setattr(assets, "check_interval", 3600)
    monkeypatch.setattr(app, "openapi", (is_done := threading.Event()).set)
    await warm_up.warm_up(app)
    assert is_done.wait(30)
    assert {ICONS_FILE, "site.css", "css/tabler.min.css", "django_htmx/htmx-4.min.js"} <= threads_by_name.keys()
    assert threading.get_ident() not in threads_by_name.values()
    threads_by_name.clear()
    await client.get("/accounts/login")
    assert [name for name in threads_by_name if name.endswith((".css", ".js"))] == []
