"""What an answer depends on is in its key, and what is not in its key it does not see."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from opportune.web.cache import cached
from opportune.web.routing.router import Router
from tests.opportune.web.cache.shop import Shop


@pytest.fixture
def cache_url() -> str:
    """Keys are made before any store is asked."""
    return "memory:"


async def test_an_answer_is_built_once_and_arguments_count_in_whatever_order(shop: Shop) -> None:
    async with shop.client() as client:
        answers = {(await client.get("/things")).text for _ in range(3)}

    assert len(answers) == 1
    assert (shop.builds, shop.route.counts.fresh) == (1, 2)

    async with shop.client() as client:
        first = await client.get("/things?a=1&b=2")
        same = await client.get("/things?b=2&a=1")
        other = await client.get("/things?a=1&b=3")
        swapped = await client.get("/things?a=2&b=1")

    assert same.text == first.text
    assert len({first.text, other.text, swapped.text}) == 3
    assert shop.builds == 4

    async with shop.client() as client:
        assert (await client.get("/things?a=1&a=2")).text != (await client.get("/things?a=2&a=1")).text


async def test_only_declared_arguments_count_and_are_seen(shop: Shop) -> None:
    async with shop.client(query=["page"]) as client:
        first = await client.get("/things?page=2&utm=one")
        second = await client.get("/things?utm=two&page=2&x")

    assert first.text == second.text
    assert "utm" not in first.text
    assert shop.builds == 1


async def test_paths_are_apart(shop: Shop) -> None:
    async with shop.client("/things/{thing}") as client:
        for path in ("/things/1", "/things/2", "/things/1"):
            await client.get(path)

    assert shop.builds == 2


async def test_chosen_headers_count_and_others_are_not_seen(shop: Shop) -> None:
    async with shop.client(vary=["Accept-Language"]) as client:
        german = await client.get("/things", headers={"accept-language": "de", "user-agent": "one"})
        english = await client.get("/things", headers={"accept-language": "en", "user-agent": "two"})
        again = await client.get("/things", headers={"accept-language": "de", "user-agent": "three"})

    assert "'accept-language': 'de'" in german.text
    assert "'accept-language': 'en'" in english.text
    assert again.text == german.text
    assert "user-agent" not in german.text


async def test_parts_programs_and_hosts_have_answers_of_their_own_and_headers_that_mean_nothing_none(
    shop: Shop,
) -> None:
    async with shop.client() as client:
        page = await client.get("/things")
        for headers in ({"hx-request-type": "partial"}, {"accept": "application/json"}, {"host": "other.example"}):
            assert (await client.get("/things", headers=headers)).text != page.text, headers
        assert shop.builds == 4
        for number in range(5):
            await client.get("/things", headers={"hx-request-type": f"x{number}", "accept": f"text/{number}"})

    assert shop.builds == 4


@pytest.mark.parametrize("headers", [{"cookie": "session=ada"}, {"authorization": "Bearer ada"}, {"cookie": "theme=x"}])
async def test_who_may_be_known_is_neither_answered_from_the_cache_nor_kept_in_it(
    shop: Shop, headers: dict[str, str]
) -> None:
    async with shop.client() as client:
        hers = await client.get("/things", headers=headers)
        public = await client.get("/things")
        hers_again = await client.get("/things", headers=headers)

    assert "ada" in hers.text or "theme" in hers.text
    assert "ada" not in public.text
    assert "theme" not in public.text
    assert hers_again.text == hers.text
    assert "etag" not in hers.headers
    assert (shop.builds, shop.route.counts.bypassed) == (3, 2)


async def test_answers_kept_per_user_are_given_to_nobody_else(shop: Shop) -> None:
    async with shop.client(per_user=True) as client:
        texts = {}
        for name in ("ada", "bob", "ada", "bob"):
            texts[name] = (await client.get("/things", headers={"cookie": f"session={name}"})).text
        texts["nobody"] = (await client.get("/things")).text

    assert all(text.endswith(name) for name, text in texts.items())
    assert shop.builds == 3


async def test_what_is_kept_for_a_user_is_not_marked_for_others(shop: Shop) -> None:
    async with shop.client(per_user=True) as client:
        answer = await client.get("/things", headers={"cookie": "session=ada"})

    assert "cache-control" not in answer.headers  # the edge adds no-store
    assert "cookie" in answer.headers["vary"]


async def test_a_request_with_a_body_is_left_to_the_route(shop: Shop) -> None:
    async with shop.client() as client:
        await client.request("GET", "/things", content=b"more")
        await client.request("GET", "/things", content=b"less")

    assert shop.builds == 2


@pytest.mark.parametrize(
    ("seconds", "options"),
    [(0, {}), (-1, {}), (60, {"stale": -1}), (60, {"stale": 90_000}), (60, {"vary": ["Cookie"]})],
)
def test_a_rule_that_makes_no_sense_is_refused(seconds: float, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"seconds|per_user"):
        cached(seconds, **options)


def test_a_tag_names_what_the_path_has() -> None:
    with pytest.raises(TypeError, match="no event_id in the path"):
        take(cached(60, tags=["event:{event_id}"]), "/events/{id}", ["GET"])


def test_only_routes_that_read_are_cached() -> None:
    with pytest.raises(TypeError, match="GET alone"):
        take(cached(60), "/events", ["POST"])


def test_a_marked_route_is_never_left_uncached_in_silence() -> None:
    async def endpoint() -> None: ...

    own = APIRouter()
    own.add_api_route("/events", cached(60)(endpoint))
    own.mount("/files", FastAPI())
    with pytest.raises(TypeError, match="routes alone"):
        Router().include_flat(own)


def take(mark: Any, path: str, methods: list[str]) -> None:
    async def endpoint() -> None: ...

    own = APIRouter()
    own.add_api_route(path, mark(endpoint), methods=methods)
    Router().include_flat(own)
