"""Cache keys, and the parts of a request that a cached route sees."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from opportune.web.cache import cached
from opportune.web.routing.router import Router
from tests.opportune.web.cache.shop import Shop

Request = tuple[str, dict[str, str]]
"""Query string and headers."""


@pytest.mark.parametrize(
    ("rule", "requests"),
    [
        pytest.param({}, [("a=1&b=2", {}), ("a=1&b=2", {}), ("b=2&a=1", {})], id="order of query parameters"),
        pytest.param({"query": ["page"]}, [("page=2&utm=a", {}), ("utm=b&page=2&x", {})], id="undeclared parameters"),
        pytest.param({}, [("", {"user-agent": "one"}), ("", {"user-agent": "two"})], id="undeclared headers"),
        pytest.param({}, [("", {"hx-request-type": "x"}), ("", {"hx-request-type": "y"})], id="unknown values of htmx"),
    ],
)
async def test_requests_share_a_response(shop: Shop, rule: dict[str, Any], requests: list[Request]) -> None:
    assert len(await get_all(shop, rule, requests)) == 1
    assert (shop.builds, shop.route.counts.fresh) == (1, len(requests) - 1)


@pytest.mark.parametrize(
    ("rule", "requests"),
    [
        ({}, [("a=1&b=2", {}), ("a=2&b=1", {}), ("a=1&a=2", {}), ("a=2&a=1", {})]),
        ({"vary": ["Accept-Language"]}, [("", {"accept-language": "de"}), ("", {"accept-language": "en"})]),
        ({}, [("", {}), ("", {"hx-request-type": "partial"}), ("", {"host": "other.example"})]),
        ({}, [("", {}), ("", {"accept": "application/json"})]),
    ],
)
async def test_requests_have_their_own_responses(shop: Shop, rule: dict[str, Any], requests: list[Request]) -> None:
    for _ in range(2):
        assert len(await get_all(shop, rule, requests)) == len(requests)
    assert shop.builds == len(requests)


async def get_all(shop: Shop, rule: dict[str, Any], requests: list[Request]) -> set[str]:
    """Send requests to a route with this rule, and return the different pages."""
    async with shop.client(**rule) as client:
        return {(await client.get(f"/things?{query}", headers=headers)).text for query, headers in requests}


async def test_undeclared_parts_of_a_request_are_hidden(shop: Shop) -> None:
    async with shop.client(query=["page"], vary=["Accept-Language"]) as client:
        response = await client.get("/things?page=2&utm=one", headers={"accept-language": "de", "user-agent": "one"})
    assert "'accept-language': 'de'" in response.text
    assert "page=2" in response.text
    assert "utm" not in response.text
    assert "user-agent" not in response.text


@pytest.mark.parametrize("headers", [{"cookie": "session=ada"}, {"authorization": "Bearer ada"}, {"cookie": "theme=x"}])
async def test_personal_request_bypasses_cache(shop: Shop, headers: dict[str, str]) -> None:
    async with shop.client() as client:
        private = await client.get("/things", headers=headers)
        public = await client.get("/things")
        private_again = await client.get("/things", headers=headers)
    assert "ada" in private.text or "theme" in private.text
    assert "ada" not in public.text
    assert "theme" not in public.text
    assert private_again.text == private.text
    assert "etag" not in private.headers
    assert (shop.builds, shop.route.counts.bypassed) == (3, 2)


async def test_user_has_a_response_for_their_permissions(shop: Shop) -> None:
    async with shop.client(per_user=True) as client:
        for name in ("ada", "bob", "ada", "bob", "bob; may=export"):
            response = await client.get("/things", headers={"cookie": f"session={name}"})
            assert response.text.endswith(name[:3])
            assert "cache-control" not in response.headers  # the middleware adds no-store
            assert "cookie" in response.headers["vary"]
        assert (await client.get("/things")).text.endswith("anonymous")
    assert shop.builds == 4


async def test_request_with_body_bypasses_cache(shop: Shop) -> None:
    async with shop.client() as client:
        await client.request("GET", "/things", content=b"more")
        await client.request("GET", "/things", content=b"less")
    assert shop.builds == 2


def test_rule_may_not_vary_by_cookie() -> None:
    with pytest.raises(ValueError, match="per_user"):
        cached(60, vary=["Cookie"])


@pytest.mark.parametrize(
    ("tags", "path", "method", "message"),
    [
        (["event:{event_id}"], "/events/{id}", "GET", "has no event_id"),
        ([], "/events", "POST", "only a route for GET"),
        ([], "/files", "GET", "may not have mounts"),
    ],
)
def test_wrong_route_is_refused(tags: list[str], path: str, method: str, message: str) -> None:
    async def endpoint() -> None: ...

    router = APIRouter()
    router.add_api_route(path, cached(60, tags=tags)(endpoint), methods=[method])
    if path == "/files":
        router.mount("/files", FastAPI())
    with pytest.raises(TypeError, match=message):
        Router().include_flat(router)
