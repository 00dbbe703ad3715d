"""Books of the examples of docs/llm-pages.md."""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated

import pytest
from fastapi import Depends

from opportune.db import RowId


@dataclass
class Book:
    id: int
    description: str = "Waves without a shore."


async def get_book(book_id: RowId) -> Book:
    return Book(book_id)


def add_current_book(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the dependency that the examples import from their project."""
    dependencies = ModuleType("app.books.dependencies")
    vars(dependencies)["CurrentBook"] = Annotated[Book, Depends(get_book)]
    monkeypatch.setitem(sys.modules, "app.books.dependencies", dependencies)
