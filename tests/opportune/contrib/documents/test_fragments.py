"""Cached fragments of pages."""

from pathlib import Path

import pytest

from opportune.contrib.documents import search as search_module
from tests.opportune.contrib.documents.shelf_index import code_document, open_search, write_index


async def test_fragment_is_cached_until_the_index_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "MAX_FRAGMENTS", 2)
    url = f"sqlite:///{tmp_path / 'index.db'}"
    write_index(url, [code_document("one")])
    search, rendered = open_search(url), list[bytes]()

    async def show(query: bytes) -> None:
        async def render() -> str:
            rendered.append(query)
            return ""

        await search.fragment(query, render)

    long_query = b"q=" + b"o" * search_module.MAX_FRAGMENT_KEY_LENGTH
    for query in (b"a", b"a", b"b", b"c", b"c", b"a", long_query, long_query):
        await show(query)
    assert rendered == [b"a", b"b", b"c", b"a", long_query, long_query]
    write_index(url, [code_document("two")])
    await search.refresh()
    await show(b"a")
    await search.close()
    assert rendered[-1] == b"a"
