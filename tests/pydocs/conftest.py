"""Fixtures of tests of the Python documentation."""

import pytest
from fastapi import FastAPI

from app.pydocs.documents import python_docs
from tests.pydocs.fake_search import FakeSearch


@pytest.fixture
def fake_search(app: FastAPI) -> FakeSearch:
    """Replace the index of the site."""
    fake_search = FakeSearch()

    async def get_fake_search() -> FakeSearch:
        return fake_search

    app.dependency_overrides[python_docs.search] = get_fake_search
    return fake_search
