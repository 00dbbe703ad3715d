"""Places in a feature that name a field of a model."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from opportune.db.models.field_usages import describe_usages, find_usages

SERVICE = """\
class Books(Crud[Book]):
    search = ("title",)
    filters = ("price", "title")
    sort = ("-price", "price__gte", "pricey", "author.price")


class Shops(Crud[Shop]):
    sort = ("price",)
"""
ADMIN = """\
class BookAdmin(AdminView, model=Book):
    columns = ("title", "price")


inlines = (Inline(Book, by="shop_id", columns=("price",)),)
cheapest = select(Book).order_by(Book.price)
"""
DEMO = """\
book = Book(title="Emma", price=3)
"""


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model whose package names its price in several files."""
    package = tmp_path / "renamed_books"
    package.mkdir()
    files = {"__init__": "", "models": "class Book: ...\n", "service": SERVICE, "admin": ADMIN, "demo": DEMO}
    for name, text in files.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("renamed_books.models").Book


def test_usages_of_the_model_are_found_in_all_files(book: Any) -> None:
    locations = [usage.rpartition("/")[2] for usage in find_usages(book, "price")]
    assert locations == ["admin.py:2", "admin.py:5", "admin.py:6", "demo.py:1", "service.py:3", "service.py:4"]


@pytest.mark.parametrize(
    ("field", "message"), [("price", " Book.price is named in: "), pytest.param("author", "", id="a single usage")]
)
def test_message_lists_several_usages(book: Any, field: str, message: str) -> None:
    text = describe_usages(book, field)
    assert text.startswith(message)
    assert bool(text) is bool(message)
