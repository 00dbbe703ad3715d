"""Lists of related rows follow `ondelete` of their foreign key, and names of models and tables that exist later."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, inspect
from sqlalchemy.orm import registry
from sqlmodel import Field, Relationship

from opportune.db import Database, ModelBase, load
from opportune.db.models import foreign_keys
from opportune.db.models.foreign_keys import load_targets
from opportune.errors import OperatorError
from tests.opportune.stored_rows import add_rows, count
from tests.opportune.tables import UnmigratedTable, make_tables


class RackTome(ModelBase, table=True):
    __tablename__ = "test_cascade_rack_tome"
    metadata = UnmigratedTable.metadata

    rack_id: int = Field(foreign_key="test_cascade_rack.id", primary_key=True, ondelete="CASCADE")
    tome_id: int = Field(foreign_key="test_cascade_tome.id", primary_key=True, ondelete="CASCADE")


class Rack(UnmigratedTable, table=True):
    __tablename__ = "test_cascade_rack"

    parent_id: int | None = Field(default=None, foreign_key="test_cascade_rack.id", ondelete="CASCADE")

    parent: "Rack" = Relationship(back_populates="children")
    children: list["Rack"] = Relationship(back_populates="parent")
    tomes: list["Tome"] = Relationship(back_populates="rack")
    loans: list["RackLoan"] = Relationship(back_populates="rack")
    lent_tomes: list["Tome"] = Relationship(link_model=RackTome)


class Tome(UnmigratedTable, table=True):
    __tablename__ = "test_cascade_tome"

    rack_id: int = Field(foreign_key="test_cascade_rack.id", ondelete="CASCADE")

    rack: Rack = Relationship(back_populates="tomes")


class RackLoan(UnmigratedTable, table=True):
    __tablename__ = "test_cascade_lending"

    rack_id: int | None = Field(default=None, foreign_key="test_cascade_rack.id", ondelete="SET NULL")

    rack: Rack | None = Relationship(back_populates="loans")


async def count_after_deletion(database: Database, row: Rack | Tome | RackLoan, *, loaded: bool = False) -> int:
    """Delete the rack of a stored row, and return the number of rows of its model that remain."""
    await make_tables(database, Rack, Tome, RackLoan)
    await add_rows(database, Rack(), row)
    async with database.writer() as session:
        options = [load(Rack.tomes), load(Rack.children)] if loaded else []
        await session.delete(await session.get_one(Rack, 1, options=options))
    return int(await count(database, type(row)))


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("row", [Tome(rack_id=1), Rack(parent_id=1)], ids=["required", "optional"])
async def test_rows_of_a_cascade_are_deleted(database: Database, row: Rack | Tome, loaded: bool) -> None:
    assert await count_after_deletion(database, row.model_copy(), loaded=loaded) == 0


async def test_rows_to_clear_remain(database: Database) -> None:
    assert await count_after_deletion(database, RackLoan(rack_id=1)) == 1


@pytest.mark.parametrize("name", ["parent", "lent_tomes"])  # whose model has a cascading foreign key to this one
def test_related_row_is_not_deleted_with_its_row(name: str) -> None:
    assert not inspect(Rack).relationships[name].cascade.delete


def declare_rooms(*chair_modules: str) -> type[Any]:
    """Return a model of this module with a list of chairs, of which each of these modules has a model."""

    class Base(ModelBase, registry=registry()):
        pass

    class Room(Base, table=True):
        __tablename__ = "test_room"

        id: int = Field(primary_key=True)
        chairs: list["Chair"] = Relationship()

    for module in chair_modules:

        class Chair(Base, table=True):
            __module__ = module
            __tablename__ = f"{module.rpartition('.')[2]}_chair"

            id: int = Field(primary_key=True)
            room_id: int = Field(foreign_key="test_room.id")

    return Room


def test_related_model_of_the_same_module_is_meant() -> None:
    room = declare_rooms("app.depot", __name__)
    assert inspect(room).relationships["chairs"].mapper.class_.__module__ == __name__


def test_ambiguous_name_of_a_model_is_refused() -> None:
    room = declare_rooms("app.depot", "app.shop")
    message = r"test_relationships\.Room\.chairs: app\.depot\.Chair and app\.shop\.Chair share a name\. Rename one\."
    with pytest.raises(OperatorError, match=message):
        _ = inspect(room).relationships


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
