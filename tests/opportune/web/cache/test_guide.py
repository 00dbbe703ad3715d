"""Code, URLs and numbers of docs/cache.md."""

import re

from fastapi import APIRouter

from opportune.web.cache.factory import cache_name
from opportune.web.routing.router import CachedRoute, Router
from tests.opportune.guides import code_blocks, read_guide, run_code

GUIDE = read_guide("cache.md")


def test_routes_of_guide_are_cached() -> None:
    block, _ = code_blocks(GUIDE)
    names = run_code(block)
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
