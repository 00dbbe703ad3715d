"""A built front end beside the pages: `app.frontend`, as docs/cookbook.md describes it."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

PAGE = {"accept": "text/html"}
INDEX = '<!doctype html><script type="module" src="/studio/assets/index-BX3kd9.js"></script><div id="app"></div>'


@pytest.fixture
def app(app: FastAPI, tmp_path: Path) -> FastAPI:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(INDEX, encoding="utf-8")
    (dist / "assets/index-BX3kd9.js").write_text("document.title = 'Studio'", encoding="utf-8")
    app.frontend("/studio", directory=dist)
    return app


@pytest.mark.parametrize("path", ["/studio/", "/studio/orders/7"])
async def test_paths_of_the_front_end_get_its_page(client: AsyncClient, path: str) -> None:
    response = await client.get(path, headers=PAGE)
    assert (response.status_code, response.text) == (200, INDEX)


async def test_policy_allows_the_built_script(client: AsyncClient) -> None:
    page = await client.get("/studio/", headers=PAGE)
    script = await client.get("/studio/assets/index-BX3kd9.js")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert (await client.head("/studio/assets/index-BX3kd9.js")).status_code == 200


async def test_browsers_revalidate_files_when_signed_in(user_client: AsyncClient) -> None:
    script = await user_client.get("/studio/assets/index-BX3kd9.js")
    assert script.headers["cache-control"] == "private, no-cache"
    again = await user_client.get(script.url.path, headers={"if-none-match": script.headers["etag"]})
    assert again.status_code == 304


async def test_missing_file_is_not_the_page(client: AsyncClient) -> None:
    assert (await client.get("/studio/assets/old.js")).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v1/users/me", 401), ("/accounts/login", 200), ("/api/v1/nothing", 404)]
)
async def test_no_route_is_hidden(app: FastAPI, client: AsyncClient, tmp_path: Path, path: str, status: int) -> None:
    app.frontend("/", directory=tmp_path / "dist")
    response = await client.get(path, headers={"accept": "application/json" if "/api/" in path else "text/html"})
    assert response.status_code == status
    assert response.text != INDEX
