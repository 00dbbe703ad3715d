"""Addresses of no page: health checks, the favicon, robots.txt and other files at the root of the site."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.application import create_app
from opportune.testing.migrations import migrate
from opportune.testing.plugin import settings_for
from opportune.web.machine_paths import HEALTH_PATHS
from opportune.web.static.files import assets
from tests.opportune.site_with import client_of


async def test_healthy_site_responds_to_get_head_options(client: AsyncClient) -> None:
    for path in sorted(HEALTH_PATHS):
        response = await client.get(path)
        assert (response.status_code, response.json()) == (200, {"healthy": True}), path
        for method in ("HEAD", "OPTIONS"):
            assert (await client.request(method, path)).status_code == 200, (method, path)


@pytest.fixture
def broken_site(tmp_path: Path) -> FastAPI:
    (tmp_path / "secret.db").mkdir()  # a folder is not a database
    return create_app(settings_for(f"sqlite:///{tmp_path / 'secret.db'}"))


async def test_unavailable_database_fails_health_checks(broken_site: FastAPI) -> None:
    async with client_of(broken_site) as client:
        for path in ("/health", "/health/ready"):
            response = await client.get(path)
            assert (response.status_code, response.json()) == (503, {"healthy": False})
            assert response.headers["cache-control"] == "no-store"


async def test_site_is_ready_after_migrations(empty_database_url: str) -> None:
    app = create_app(settings_for(empty_database_url))
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        migrate(empty_database_url)
        assert (await client.get("/health/ready")).status_code == 200


async def test_logo_is_the_default_favicon(client: AsyncClient) -> None:
    response = await client.get("/favicon.ico")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/svg+xml")
    assert response.content == (await client.get("/static/icon.svg")).content
    assert (await client.head("/favicon.ico")).status_code == 200


async def test_own_favicon_replaces_logo(client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "favicon.ico").write_bytes(b"\0\0\1\0")
    monkeypatch.setattr(assets, "all_directories", [tmp_path, *assets.all_directories])
    response = await client.get("/favicon.ico")
    assert response.content == b"\0\0\1\0"
    assert response.headers["content-type"].startswith("image/")


async def test_root_files_are_revalidated(client: AsyncClient) -> None:
    for path in ("/favicon.ico", "/robots.txt"):
        first = await client.get(path)
        assert (first.headers["cache-control"], "set-cookie" in first.headers) == ("public, no-cache", False), path
        again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
        assert (await client.post(path)).status_code == 405, path
