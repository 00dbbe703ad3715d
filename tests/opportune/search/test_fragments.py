"""Parts of pages that are kept while the index is the same."""

import pytest

from opportune.search.documents.fragments import MAX_KEY_LENGTH, FragmentCache


def test_oldest_query_is_evicted_first() -> None:
    kept = FragmentCache(max_chars=20)
    for query in (b"q=o", b"q=j"):
        kept.set(1, query, "ten letter")
    kept.get(1, b"q=o")
    kept.set(1, b"q=s", "ten letter")

    assert [query for query in (b"q=o", b"q=j", b"q=s") if kept.get(1, query)] == [b"q=o", b"q=s"]


def test_results_of_an_old_index_are_not_cached() -> None:
    kept = FragmentCache()
    kept.set(2, b"q=o", "new")
    kept.set(1, b"q=o", "old")

    assert kept.get(2, b"q=o") == "new"
    assert kept.get(1, b"q=o") is None


@pytest.mark.parametrize(("edition", "query"), [(None, b"q=o"), (1, b"q=" + b"o" * MAX_KEY_LENGTH)])
def test_long_queries_are_not_cached(edition: int | None, query: bytes) -> None:
    kept = FragmentCache()
    kept.set(edition, query, "part")

    assert kept.get(edition, query) is None
