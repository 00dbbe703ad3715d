from pathlib import Path

import pytest
from fastapi import FastAPI

from app.pydocs.dependencies import index
from opportune.search.documents import index as place
from tests.pydocs.shelf import Shelf


@pytest.fixture
def shelf(app: FastAPI) -> Shelf:
    """Stands in the place of the site's index."""
    shelf = Shelf()

    async def instead() -> Shelf:
        return shelf

    app.dependency_overrides[index] = instead
    return shelf


@pytest.fixture(autouse=True)
def _spools_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(place, "FOLDER", tmp_path)
