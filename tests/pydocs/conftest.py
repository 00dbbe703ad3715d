"""Fixtures of tests of the Python documentation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.pydocs.documents import python_docs
from app.pydocs.schemas import SearchHit
from opportune.contrib.documents import DocumentSearch
from tests.pydocs.search_index import SMALL_INDEX, fill_index, open_search
from tests.pydocs.sphinx_folder import make_sphinx_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_sphinx_folder(tmp_path / "html")


@pytest.fixture(scope="session")
def small_index_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('pydocs') / 'index.db'}"
    fill_index(url, SMALL_INDEX, "Python 3.11.7")
    return url


@pytest.fixture
async def small_index(app: FastAPI, small_index_url: str) -> AsyncIterator[DocumentSearch[SearchHit]]:
    """Let the site search a few entries."""
    search = open_search(small_index_url)

    async def get_search() -> DocumentSearch[SearchHit]:
        return search

    app.dependency_overrides[python_docs.search] = get_search
    yield search
    await search.close()
