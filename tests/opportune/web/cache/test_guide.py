"""Code, URLs and numbers of docs/cache.md."""

import re
from inspect import signature

from fastapi import APIRouter

from opportune.project.layout import PROJECT
from opportune.web.cache.factory import cache_name
from opportune.web.cache.redis_store import REDIS_TIMEOUT_SECONDS
from opportune.web.cache.store import MAX_VALUE_BYTES, MemoryStore
from opportune.web.routing.cached_route import CachedRoute
from opportune.web.routing.router import Router

GUIDE = (PROJECT / "docs" / "cache.md").read_text(encoding="utf-8")


def test_routes_of_guide_are_cached() -> None:
    block, _ = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(block, names)  # noqa: S102 - code of the guide
    router = names["router"]
    assert isinstance(router, APIRouter)
    site = Router()
    site.include_flat(router)
    routes = [route for route in site.routes if isinstance(route, CachedRoute)]
    assert [route.path for route in routes] == ["/books", "/books/{book_id}"]
    assert routes[1].rule.tags_of({"book_id": "5"}) == ("books", "book:5")


def test_cache_urls_of_guide_are_valid() -> None:
    urls = re.findall(r"^CACHE_URL=(.*)$", GUIDE, re.MULTILINE)
    assert len(urls) == 4
    for url in urls:
        assert "PASSWORD" not in cache_name(url)


def test_numbers_of_guide_match_code() -> None:
    bounds = signature(MemoryStore).parameters
    assert f"{bounds['entries'].default} entries and {bounds['size'].default >> 20} MiB" in GUIDE
    assert MAX_VALUE_BYTES == 1024 * 1024
    assert REDIS_TIMEOUT_SECONDS == 0.5
