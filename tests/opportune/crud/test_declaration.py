"""Error messages for invalid options of `Crud` classes."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from sqlalchemy import BigInteger, Column, Integer, Numeric, SmallInteger
from sqlmodel import Field, SQLModel

from opportune.crud import Crud, CrudApi, Permission, filter_by
from opportune.crud.formats import format_for, format_value, scale_of, with_scale
from opportune.crud.registry import crud_classes
from opportune.crud.types import missing_limits
from opportune.errors import OperatorError
from tests.opportune.crud.library import Note, Opinions, Volume, Volumes, VolumeTopic
from tests.opportune.tables import UnmigratedTable


class Stamp(SQLModel, table=True):
    __tablename__ = "library_stamp"
    metadata = UnmigratedTable.metadata

    id: str = Field(primary_key=True)


@pytest.mark.parametrize(("type_", "bits"), [(SmallInteger, 15), (Integer, 31), (BigInteger, 63)])
def test_integers_have_the_range_of_their_column(type_: Any, bits: int) -> None:
    _, maximum = missing_limits(Column("floor", type_), FieldInfo.from_annotation(int))
    assert maximum.metadata[0].le == 2**bits - 1


class UnknownFieldSchema(BaseModel):
    title: str
    mood: str


def declare_crud(model: type[Any], **options: Any) -> Any:
    """Declare a `Crud` class without registering it."""
    registered = dict(crud_classes)
    try:
        return type("Books", (Crud,), {"model": model, **options})
    finally:
        crud_classes.clear()
        crud_classes.update(registered)


@pytest.mark.parametrize(("number", "text"), [(2026, "2026"), (-12345, "-12,345"), (None, "")])
def test_large_amounts_have_separators(number: int | None, text: str) -> None:
    assert format_for(Volumes.definition.shape, "pages")(number) == text


def test_decimals_have_the_digits_of_their_column() -> None:
    for scale, value, text in (
        (2, "8", "8.00"),
        (None, "0.2500000000", "0.25"),
        (None, "1200.0000000000", "1,200"),
        (4, f"{'7' * 30}.5", f"{',777' * 10}.5000".removeprefix(",")),
    ):
        assert format_value(with_scale(Decimal(value), scale_of(Column(Numeric(scale=scale))))) == text, scale


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sort": ("prise",)}, "Books.sort: Volume has no 'prise'. Did you mean price?"),
        ({"search": ("price",)}, "Books.search: 'price' is not a text. Name text columns."),
        (
            {"sort": ("topics.name",)},
            "Books.sort: 'topics.name' has several values in a row. Name a column of one related row or an annotation.",
        ),
        ({"read_permission": "anyone"}, "Books.read_permission needs Permission | None, not 'anyone'."),
        ({"sort": "title"}, "Books.sort is a text. Write a tuple: ('title',)."),
        ({"filters": ("page",)}, "Books.filters: 'page' is a parameter of every list. Leave it out."),
        ({"lookup": "title"}, "Books.lookup: 'title' is not a unique text column. Set unique=True on its field."),
        ({"nested": ("price",)}, "Books.nested: Volume has no 'price'. There are: editor, topics, writer."),
        ({"write_fields": ("id",)}, "Books.write_fields: 'id' is set by the site. Leave it out."),
        (
            {"owner_column": "writer_id"},
            "Books.owner_column: 'writer_id' is not a foreign key to accounts_user.id. Make it one.",
        ),
        (
            {"read_permission": Permission.OWNER},
            'Books.read_permission: rows have no owner. Set its column: owner_column = "user_id".',
        ),
        (
            {"create_schema": UnknownFieldSchema},
            "Books.create_schema: Volume has no 'mood'. Leave it out, or store it in `assign`.",
        ),
    ],
)
def test_invalid_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OperatorError) as caught:
        declare_crud(Volume, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("option", ["search", "filters", "sort", "read_fields"])
def test_option_with_a_secret_is_refused(option: str) -> None:
    for name in ("secret_note", *(["writer.api_key"] if option in ("search", "sort") else [])):
        with pytest.raises(OperatorError, match="is a secret by its name"):
            declare_crud(Volume, **{option: (name,)})


def test_filter_method_needs_a_typed_parameter() -> None:
    def untyped(self: Any, value): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the error under test

    def named(self: Any, *, value: int) -> Any: ...

    async def late(self: Any, value: int) -> Any: ...

    methods: Any = ((untyped, "takes self and"), (named, "takes self and"), (late, "returns a condition"))
    for method, message in methods:
        with pytest.raises(OperatorError, match=rf"^Books.year: a filter {message}"):
            declare_crud(Note, year=filter_by(method))


def test_model_without_integer_id_is_refused() -> None:
    for model, message in (
        (VolumeTopic, r"VolumeTopic has a primary key of several columns \(volume_id, topic_id\)\. Give it an `id`\."),
        (Stamp, r"Stamp has an `id` that is not an integer\. Subclass opportune\.db\.Model"),
    ):
        with pytest.raises(OperatorError, match=message):
            declare_crud(model)


def test_api_without_an_unknown_route_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"without=remove names no route\. There are: list, create"):
        CrudApi(Volumes, "/volumes", without=("remove",))


@pytest.mark.parametrize("stars", [0, 2**40])
def test_number_has_the_limits_of_field_and_column(stars: int) -> None:
    for schema in (Opinions.Create, Opinions.Update):
        with pytest.raises(ValidationError):
            schema.model_validate({"volume_id": 1, "stars": stars})
    assert Opinions.Create.model_validate({"volume_id": 1, "stars": 5})
