"""Cache keys, and the parts of a request that a cached route sees."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from opportune.web.cache import cached
from opportune.web.routing.router import Router
from tests.opportune.web.cache.shop import Shop


@pytest.fixture
def cache_kind() -> str:
    """Keys do not depend on the store."""
    return "memory"


async def test_equal_requests_have_the_same_key(shop: Shop) -> None:
    async with shop.client() as client:
        texts = {(await client.get("/things")).text for _ in range(3)}

    assert len(texts) == 1
    assert (shop.builds, shop.route.counts.fresh) == (1, 2)


async def test_query_order_does_not_change_the_key(shop: Shop) -> None:
    async with shop.client() as client:
        first = await client.get("/things?a=1&b=2")
        assert (await client.get("/things?b=2&a=1")).text == first.text


async def test_query_values_change_the_key(shop: Shop) -> None:
    queries = ("a=1&b=2", "a=1&b=3", "a=2&b=1", "a=1&a=2", "a=2&a=1")
    async with shop.client() as client:
        texts = {(await client.get(f"/things?{query}")).text for query in queries}

    assert len(texts) == len(queries)


async def test_undeclared_query_parameters_are_hidden(shop: Shop) -> None:
    async with shop.client(query=["page"]) as client:
        first = await client.get("/things?page=2&utm=one")
        second = await client.get("/things?utm=two&page=2&x")

    assert first.text == second.text
    assert "utm" not in first.text
    assert shop.builds == 1


async def test_each_path_has_a_response(shop: Shop) -> None:
    async with shop.client("/things/{thing}") as client:
        for path in ("/things/1", "/things/2", "/things/1"):
            await client.get(path)

    assert shop.builds == 2


async def test_undeclared_headers_are_hidden(shop: Shop) -> None:
    async with shop.client(vary=["Accept-Language"]) as client:
        german = await client.get("/things", headers={"accept-language": "de", "user-agent": "one"})
        english = await client.get("/things", headers={"accept-language": "en", "user-agent": "two"})
        again = await client.get("/things", headers={"accept-language": "de", "user-agent": "three"})

    assert "'accept-language': 'de'" in german.text
    assert "'accept-language': 'en'" in english.text
    assert again.text == german.text
    assert "user-agent" not in german.text


async def test_htmx_json_and_host_change_the_key(shop: Shop) -> None:
    async with shop.client() as client:
        page = await client.get("/things")
        for headers in ({"hx-request-type": "partial"}, {"accept": "application/json"}, {"host": "other.example"}):
            assert (await client.get("/things", headers=headers)).text != page.text, headers


async def test_unknown_accept_and_htmx_values_keep_the_key(shop: Shop) -> None:
    async with shop.client() as client:
        for number in range(5):
            await client.get("/things", headers={"hx-request-type": f"x{number}", "accept": f"text/{number}"})

    assert shop.builds == 1


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


async def test_each_user_has_a_response(shop: Shop) -> None:
    async with shop.client(per_user=True) as client:
        texts = {}
        for name in ("ada", "bob", "ada", "bob"):
            texts[name] = (await client.get("/things", headers={"cookie": f"session={name}"})).text
        texts["anonymous"] = (await client.get("/things")).text

    assert all(text.endswith(name) for name, text in texts.items())
    assert shop.builds == 3


async def test_response_per_user_has_no_cache_control(shop: Shop) -> None:
    async with shop.client(per_user=True) as client:
        response = await client.get("/things", headers={"cookie": "session=ada"})

    assert "cache-control" not in response.headers  # the middleware adds no-store
    assert "cookie" in response.headers["vary"]


async def test_request_with_body_bypasses_cache(shop: Shop) -> None:
    async with shop.client() as client:
        await client.request("GET", "/things", content=b"more")
        await client.request("GET", "/things", content=b"less")

    assert shop.builds == 2


@pytest.mark.parametrize(
    ("seconds", "options"),
    [(0, {}), (-1, {}), (60, {"stale": -1}), (60, {"stale": 90_000}), (60, {"vary": ["Cookie"]})],
)
def test_invalid_rule_is_refused(seconds: float, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"seconds|per_user"):
        cached(seconds, **options)


def test_tag_with_unknown_path_parameter_is_refused() -> None:
    with pytest.raises(TypeError, match="has no event_id"):
        add_route(cached(60, tags=["event:{event_id}"]), "/events/{id}", ["GET"])


def test_cached_post_route_is_refused() -> None:
    with pytest.raises(TypeError, match="only a route for GET"):
        add_route(cached(60), "/events", ["POST"])


def test_cached_route_next_to_a_mount_is_refused() -> None:
    async def endpoint() -> None: ...

    router = APIRouter()
    router.add_api_route("/events", cached(60)(endpoint))
    router.mount("/files", FastAPI())
    with pytest.raises(TypeError, match="may not have mounts"):
        Router().include_flat(router)


def add_route(decorator: Any, path: str, methods: list[str]) -> None:
    async def endpoint() -> None: ...

    router = APIRouter()
    router.add_api_route(path, decorator(endpoint), methods=methods)
    Router().include_flat(router)
