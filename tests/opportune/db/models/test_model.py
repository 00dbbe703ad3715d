"""Columns, partial indexes, hashes and usages of fields of models, and schema fields that refer to them."""

import importlib
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import TypeAdapter, ValidationError, create_model
from sqlalchemy import CheckConstraint, Column, ForeignKey, MetaData, Table, UniqueConstraint, types
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, validates
from sqlalchemy.schema import CreateIndex
from sqlmodel import Field, SQLModel

from opportune.accounts.models import User
from opportune.db import MAX_ID, PartialIndex, Reference, changes
from opportune.db.models.field_usages import find_usages
from opportune.db.models.labels import title_of
from opportune.db.models.model import NAMING_CONVENTION, Model, ModelBase
from opportune.db.models.references import reference_of
from opportune.errors import OperatorError
from opportune.fields import Stored, Text, Translated
from opportune.schemas import field_faults
from tests.opportune.crud.library import Writer


def test_title_of_a_row_without_a_name_is_its_key() -> None:
    assert title_of(Writer(id=46, name=" ")) == "Writer 46"


def test_foreign_key_has_the_type_of_the_id() -> None:
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    columns = {"author_id": types.Integer, "size": types.Integer, "code": types.SmallInteger}
    keys = {"author_id": [ForeignKey("author.id")], "code": [ForeignKey("code.id")]}
    table = Table("book", metadata, *(Column(name, type_, *keys.get(name, ())) for name, type_ in columns.items()))
    assert [type(column.type) for column in table.columns] == [types.BigInteger, types.Integer, types.SmallInteger]


Ratio = Annotated[float, Stored(types.Numeric(8, 3))]


class Thing(Model, table=True):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    __tablename__ = "test_thing"

    ratio: Ratio
    best: Ratio | None = Field(None, title="Best of all")
    rough: Ratio = Field(sa_type=types.Integer)
    words: list[str] = Field(default_factory=list)
    facts: dict[str, Any] | None = None
    anything: Any = None
    kind: Literal["a", "b"] = "a"
    level: Literal[1, 2] = 1
    story: Text = ""
    remark: Text | None = None
    notes: Text = Field("", max_length=2000, index=True)

    @validates("remark")
    def strip_remark(self, _name: str, remark: str | None) -> str | None:
        return remark and remark.strip()


def test_set_column_is_validated_and_tracked() -> None:
    thing = Thing(ratio=1.5, best=None, rough=2, remark=" As new ", notes="")
    assert (thing.remark, thing.model_fields_set) == ("As new", {"ratio", "best", "rough", "remark", "notes"})
    thing.kind = "b"
    assert (changes(thing)["kind"].after, "kind" in thing.model_fields_set) == ("b", True)
    unknown = "colour"
    with pytest.raises(ValueError, match=unknown):
        setattr(thing, unknown, "blue")


def test_new_row_refuses_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"^Thing has no field 'remarks'\. Did you mean remark\?"):
        Thing(ratio=1.5, remarks="As new")  # type: ignore[call-arg]


class Parcel(ModelBase):
    weight: int


@pytest.mark.parametrize(("model", "status"), [(Thing, 422), (Parcel, 200)])
async def test_unknown_field_of_a_request_body(model: Any, status: int) -> None:
    app = FastAPI()

    @app.post("/")
    async def send(_body: model) -> None: ...

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        response = await client.post("/", json={"ratio": 1, "weight": 2, "colour": "blue"})
    assert response.status_code == status


def test_column_type_follows_the_annotation() -> None:
    for name, type_, nullable in (
        ("ratio", "NUMERIC(8, 3)", False),
        ("best", "NUMERIC(8, 3)", True),
        ("rough", "INTEGER", False),
        ("words", "JSON", False),
        ("facts", "JSON", True),
        ("anything", "JSON", False),
        ("kind", "VARCHAR(64)", False),
        ("level", "INTEGER", False),
        ("story", "TEXT", False),
        ("remark", "TEXT", True),
        ("notes", "VARCHAR(2000)", False),
    ):
        column = Thing.metadata.tables["test_thing"].columns[name]
        assert (str(column.type), column.nullable) == (type_, nullable), name


@pytest.mark.parametrize(
    ("base", "name", "value", "message"),
    [
        (Model, "__annotations__", {"metadata": str}, "Shelf: the name metadata is reserved. Rename this field."),
        (Model, "__annotations__", {"model_fields": str}, "Shelf: the name model_fields is reserved. Rename this"),
        (User, "__tablename__", "test_guest", "Shelf inherits the table of User, which SQLModel does not support"),
        (User, "__annotations__", {"room": int}, "Shelf inherits the table of User, which SQLModel does not support"),
        (Model, "__tableargs__", (), "__tableargs__ has no effect. Write __table_args__."),
        (Model, "__table_args__", UniqueConstraint("id"), "__table_args__ is no tuple. Write a comma after its item"),
        (Model, "__table_args__", (CheckConstraint("id > 0"),), 'Write CheckConstraint("id > 0", name="…").'),
    ],
)
def test_unusable_table_is_refused(base: type[Model], name: str, value: object, message: str) -> None:
    with pytest.raises(OperatorError, match=re.escape(message)):
        type("Shelf", (base,), {name: value}, table=True)


@pytest.mark.parametrize("type_", [Mapped[str], set[int], int | str, list[User], Translated])
def test_field_without_type_of_a_column_is_refused(type_: object) -> None:
    with pytest.raises(OperatorError, match=r"Untyped\.title: .* Choose another type, or set that of the column"):
        type("Untyped", (Model,), {"__annotations__": {"title": type_}}, table=True)


def test_model_that_sqlalchemy_would_not_explain_is_refused() -> None:
    for values, message in (
        ({"__tablename__": 5}, r"\.Odd\.__tablename__ is 5\. Write a text, such as"),
        ({"size": Field(default=max)}, r"\.Odd\.size: the default is a function\. Write Field\(default_factory"),
    ):
        with pytest.raises(OperatorError, match=message):
            type("Odd", (Model,), {"__module__": __name__, "__annotations__": {"size": int}, "size": 1, **values})


class Unchecked(SQLModel):
    model_config = {"defer_build": True}

    size: int = Field("x")
    price: Decimal = Field(0, ge=0)
    level: int | None = None
    name: str


class Unlimited(Unchecked):
    text: str = Field("", max_length=-1)


def test_wrong_options_of_fields_are_reported() -> None:
    (default,), (option,) = field_faults(Unchecked), field_faults(Unlimited)
    assert "Unchecked.size: the default is wrong. Input should be a valid integer" in default
    assert "Unlimited has a wrong option of Field(…): Error building " in option
    assert 'Field "text"' in option


LOANS = Table(
    "library_loan",
    MetaData(),
    Column("copy_id", types.Integer),
    Column("returned_at", types.Integer),
    PartialIndex("uq_running", "copy_id", where="returned_at IS NULL", unique=True),
)


@pytest.mark.parametrize("dialect", [sqlite.dialect, postgresql.dialect])
def test_partial_index_has_its_condition(dialect: type[Dialect]) -> None:
    (index,) = LOANS.indexes
    sql = str(CreateIndex(index).compile(dialect=dialect()))
    assert sql == "CREATE UNIQUE INDEX uq_running ON library_loan (copy_id) WHERE returned_at IS NULL"


TYPES: list[tuple[Any, Any]] = [(int, 1), (int | None, None), (list[int], [1, MAX_ID]), (dict[int, int], {2: 0})]
LISTS = (list[int], Sequence[int], list[int | None])


def test_reference_accepts_row_ids() -> None:
    for type_, value in TYPES:
        model = create_model("Sample", ids=(Annotated[type_, Reference(User)], ...))
        assert model(ids=value).model_dump() == {"ids": value}, type_
        assert reference_of(model.model_fields["ids"]) == Reference(User), type_


@pytest.mark.parametrize("number", [0, MAX_ID + 1, "words"])
@pytest.mark.parametrize("type_", [int, Annotated[int, "note"] | None, *LISTS])
def test_impossible_ids_are_refused(type_: Any, number: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[type_, Reference(User)]).validate_python([number] if type_ in LISTS else number)


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
