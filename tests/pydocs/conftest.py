"""Fixtures of tests of the Python documentation."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from app.pydocs.documents import python_docs
from opportune.contrib.documents import definition
from tests.pydocs.fake_search import FakeSearch


@pytest.fixture
def fake_search(app: FastAPI) -> FakeSearch:
    """Replace the index of the site."""
    fake_search = FakeSearch()

    async def get_fake_search() -> FakeSearch:
        return fake_search

    app.dependency_overrides[python_docs.search] = get_fake_search
    return fake_search


@pytest.fixture(autouse=True)
def _spools_in_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Store the collected pieces of an unfinished index outside the project."""
    monkeypatch.setattr(definition, "FOLDER", tmp_path)
