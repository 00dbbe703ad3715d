"""API of search and entries."""

import re

import pytest
from httpx2 import AsyncClient

from opportune.project.layout import PROJECT

pytestmark = pytest.mark.usefixtures("small_index")

SEARCH = "/api/v1/pydocs/search"
ENTRIES = "/api/v1/pydocs/entries"


async def test_api_search_needs_no_login(client: AsyncClient) -> None:
    response = await client.get(SEARCH, params={"q": "os.path", "size": 1, "page": 3})
    assert response.status_code == 200
    assert response.json() == {
        "query": "os.path",
        "corrected": "",
        "total": 3,
        "page": 3,
        "pages": 3,
        "items": [
            {
                "slug": "os.path.join",
                "url": "/pydocs/os.path.join",
                "name": "os.path.join",
                "kind": "function",
                "title": "Join one or more path segments & more",
                "module": "",
                "name_html": "<mark>os</mark>.<mark>path</mark>.join",
                "snippet_html": "Join one or more <mark>path</mark> segments &amp; more",
            }
        ],
    }


async def test_example_requests_of_the_docs_work(client: AsyncClient) -> None:
    paths = re.findall(r"curl 'http://127.0.0.1:8000([^']+)'", (PROJECT / "app/pydocs/README.md").read_text())
    assert len(paths) == 2
    for path in paths:
        assert (await client.get(path)).status_code == 200, path
