import logging
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from opportune.testing.plugin import settings_for
from opportune.web import rate_limit
from opportune.web.rate_limit import RateLimiter, TooManyRequests, client_address


def throttle_at(url: str) -> RateLimiter:
    settings = settings_for("sqlite:///unused.db").model_copy(update={"cache_url": SecretStr(url)})
    return RateLimiter(settings)


async def counted(rate_limiter: RateLimiter, who: str, times: int, most: int = 2) -> int:
    """How many of so many tries were let through."""
    passed = 0
    for _ in range(times):
        try:
            await rate_limiter.hit("test", who, most=most, seconds=100)
        except TooManyRequests:
            break
        passed += 1
    return passed


@pytest.mark.parametrize("url", ["memory:", ""])
async def test_one_too_many_is_told_when_to_come_back(url: str) -> None:
    rate_limiter = throttle_at(url)

    assert await counted(rate_limiter, "ada", 3) == 2
    with pytest.raises(TooManyRequests) as refusal:
        await rate_limiter.hit("test", "ada", most=2, seconds=100)

    assert refusal.value.status_code == 429
    assert refusal.value.headers is not None
    assert 98 <= int(refusal.value.headers["Retry-After"]) <= 100
    assert refusal.value.detail == "That was too often. Try again in 2 minutes."


async def test_others_and_other_deeds_are_counted_apart() -> None:
    rate_limiter = throttle_at("memory:")

    assert [await counted(rate_limiter, who, 3) for who in ("ada", "bob")] == [2, 2]
    await rate_limiter.hit("other", "ada", most=2, seconds=100)


async def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_COUNTERS_IN_MEMORY", 3)
    counting = throttle_at("memory:")

    for who in ("ada", "bob", "cleo", "dan"):
        assert await counted(counting, who, 1, most=1) == 1

    assert counting._memory is not None
    assert len(counting._memory.expirations) == 3
    assert await counted(counting, "dan", 1, most=1) == 0
    assert await counted(counting, "ada", 1, most=1) == 1


async def test_with_redis_all_processes_count_together(redis_url: str) -> None:
    processes = [throttle_at(redis_url), throttle_at(redis_url)]

    assert [await counted(process, "ada", 3, most=4) for process in processes] == [3, 1]
    for process in processes:
        await process.close()


async def test_without_its_redis_a_process_counts_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    rate_limiter = throttle_at("redis://user:pa55word@127.0.0.1:1/0")

    with caplog.at_level(logging.WARNING):
        assert await counted(rate_limiter, "ada", 3) == 2

    assert "does not answer" in caplog.text
    assert "pa55word" not in caplog.text
    await rate_limiter.close()


def request_from(host: str, sent: Sequence[tuple[str, str]] = (), header: str = "") -> Request:
    app = SimpleNamespace(state=SimpleNamespace(settings=SimpleNamespace(client_address_header=header)))
    client = (host, 1) if host else None
    return Request(
        {
            "type": "http",
            "app": app,
            "client": client,
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent],
        }
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("testclient", "testclient"),
    ],
)
def test_a_network_of_ipv6_is_one_visitor(host: str, expected: str) -> None:
    assert client_address(request_from(host)) == expected


def test_a_request_through_a_socket_has_no_address() -> None:
    assert client_address(request_from("")) == ""


@pytest.mark.parametrize(
    ("header", "expected"), [("", "10.0.0.1"), ("X-Real-IP", "203.0.113.7"), ("Fly-Client-IP", "10.0.0.1")]
)
def test_where_a_header_tells_the_address_it_is_believed_and_no_other(header: str, expected: str) -> None:
    sent = [("X-Real-IP", "203.0.113.7"), ("X-Forwarded-For", "198.51.100.9")]
    assert client_address(request_from("10.0.0.1", sent, header)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["198.51.100.9, 203.0.113.7"], "203.0.113.7"),
        (["198.51.100.9", "203.0.113.7"], "203.0.113.7"),
        (["whatever a visitor likes"], "10.0.0.1"),
    ],
)
def test_of_a_header_with_more_in_it_the_last_address_counts(values: list[str], expected: str) -> None:
    request = request_from("10.0.0.1", [("X-Real-IP", value) for value in values], "X-Real-IP")
    assert client_address(request) == expected
