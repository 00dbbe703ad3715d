"""Parts of pages that are kept while the index is the same."""

import pytest

from opportune.search.documents.fragments import MAX_KEY_LENGTH, FragmentCache


def test_what_was_not_asked_for_the_longest_time_goes_first() -> None:
    kept = FragmentCache(max_chars=20)
    for query in (b"q=o", b"q=j"):
        kept.set(1, query, "ten letter")
    kept.get(1, b"q=o")
    kept.set(1, b"q=s", "ten letter")

    assert [query for query in (b"q=o", b"q=j", b"q=s") if kept.get(1, query)] == [b"q=o", b"q=s"]


def test_what_was_found_in_an_older_index_is_not_kept() -> None:
    kept = FragmentCache()
    kept.set(2, b"q=o", "new")
    kept.set(1, b"q=o", "old")

    assert kept.get(2, b"q=o") == "new"
    assert kept.get(1, b"q=o") is None


@pytest.mark.parametrize(("edition", "query"), [(None, b"q=o"), (1, b"q=" + b"o" * MAX_KEY_LENGTH)])
def test_nothing_is_kept_of_an_unknown_edition_or_a_long_query(edition: int | None, query: bytes) -> None:
    kept = FragmentCache()
    kept.set(edition, query, "part")

    assert kept.get(edition, query) is None
