"""Cached fragments of pages."""

import pytest

from opportune.contrib.documents.fragments import MAX_KEY_LENGTH, FragmentCache


def test_oldest_query_is_evicted_first() -> None:
    cache = FragmentCache(max_chars=20)
    for query in (b"q=o", b"q=j"):
        cache.set(1, query, "ten letter")
    cache.get(1, b"q=o")
    cache.set(1, b"q=s", "ten letter")

    assert [query for query in (b"q=o", b"q=j", b"q=s") if cache.get(1, query)] == [b"q=o", b"q=s"]


def test_results_of_an_old_index_are_not_cached() -> None:
    cache = FragmentCache()
    cache.set(2, b"q=o", "new")
    cache.set(1, b"q=o", "old")

    assert cache.get(2, b"q=o") == "new"
    assert cache.get(1, b"q=o") is None


@pytest.mark.parametrize(("edition", "query"), [(None, b"q=o"), (1, b"q=" + b"o" * MAX_KEY_LENGTH)])
def test_long_queries_are_not_cached(edition: int | None, query: bytes) -> None:
    cache = FragmentCache()
    cache.set(edition, query, "part")

    assert cache.get(edition, query) is None
