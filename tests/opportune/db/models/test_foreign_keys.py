"""Targets of foreign keys in features that are imported later."""

from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

from opportune.db.models import foreign_keys
from opportune.db.models.foreign_keys import load_targets
from opportune.errors import OperatorError


@pytest.fixture
def author_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Column[int]:
    """A column of `books` that refers to `catalog`, whose models have not been imported."""
    metadata = MetaData()
    column = Column("author_id", Integer, ForeignKey("catalog_author.id"))
    Table("books_book", metadata, column)

    def import_models(module: str) -> None:
        assert module == "app.catalog.models"
        Table("catalog_author", metadata, Column("id", Integer, primary_key=True))

    (tmp_path / "app/catalog").mkdir(parents=True)
    (tmp_path / "app/catalog/models.py").touch()
    monkeypatch.setattr(foreign_keys, "PROJECT", tmp_path)
    monkeypatch.setattr(foreign_keys, "import_module", import_models)
    return column


def test_models_of_a_later_feature_are_imported(author_id: Column[int]) -> None:
    load_targets([author_id])
    (key,) = author_id.foreign_keys
    assert key.column.table.name == "catalog_author"


def test_missing_table_is_named(author_id: Column[int], tmp_path: Path) -> None:
    (tmp_path / "app/catalog/models.py").unlink()
    with pytest.raises(OperatorError, match=r"^books_book\.author_id: .*there is no table catalog_author\."):
        load_targets([author_id])
