from pathlib import Path

import pytest
from fastapi import FastAPI

from app.pydocs.documents import python_docs
from opportune.search.documents import definition
from tests.pydocs.fake_search import FakeSearch


@pytest.fixture
def fake_search(app: FastAPI) -> FakeSearch:
    """Replace the index of the site."""
    fake_search = FakeSearch()

    async def instead() -> FakeSearch:
        return fake_search

    app.dependency_overrides[python_docs.search] = instead
    return fake_search


@pytest.fixture(autouse=True)
def _separate_spools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(definition, "FOLDER", tmp_path)
