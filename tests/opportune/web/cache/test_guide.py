"""docs/cache.md says what is so: its code is taken, its addresses are understood, its numbers are the code's."""

import re
from inspect import signature

from fastapi import APIRouter

from opportune.config.project import PROJECT
from opportune.web.cache.cached_response import MAX_BODY_BYTES
from opportune.web.cache.factory import open_store
from opportune.web.cache.redis_store import REDIS_TIMEOUT_SECONDS
from opportune.web.cache.store import MemoryStore
from opportune.web.routing.cached_route import CachedRoute
from opportune.web.routing.router import Router

GUIDE = (PROJECT / "docs" / "cache.md").read_text(encoding="utf-8")


def test_its_routes_are_cached() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(block, names)  # noqa: S102 - the guide's own
    own = names["router"]
    assert isinstance(own, APIRouter)
    site = Router()
    site.include_flat(own)
    routes = [route for route in site.routes if isinstance(route, CachedRoute)]
    assert [route.path for route in routes] == ["/books", "/books/{book_id}"]
    assert routes[1].rule.tags_of({"book_id": "5"}) == ("books", "book:5")


def test_its_addresses_are_understood() -> None:
    urls = re.findall(r"^CACHE_URL=(.*)$", GUIDE, re.MULTILINE)
    assert len(urls) == 3
    for url in urls:
        assert "PASSWORD" not in open_store(url).name


def test_its_numbers_are_those_of_the_code() -> None:
    bounds = signature(MemoryStore).parameters
    assert f"{bounds['entries'].default} responses and {bounds['size'].default >> 20} MiB" in GUIDE
    assert MAX_BODY_BYTES == 1024 * 1024
    assert REDIS_TIMEOUT_SECONDS == 0.5
