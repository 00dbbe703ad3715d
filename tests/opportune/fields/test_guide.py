"""The examples in docs/fields.md work."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import MetaData

from opportune.crud.schemas import value_schema
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.web.forms.controls import controls_of
from tests.opportune.guides import code_blocks, read_guide, run_code

GUIDE = read_guide("fields.md")
CODE = "".join(code_blocks(GUIDE))


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    # Separate metadata, because these tables have no migrations.
    separate = 'metadata = MetaData()\n    __tablename__ = "library_book"'
    code = CODE.replace('__tablename__ = "library_book"', separate)
    return run_code(code, MetaData=MetaData, __name__=__name__)


TYPES = (
    {"title": ("VARCHAR(200)", "text"), "slug": ("VARCHAR(80)", "text"), "price": ("NUMERIC(14, 2)", "number")}
    | {"about": ("TEXT", "markdown"), "keywords": ("JSON", "lines"), "facts": ("JSON", "json")}
    | {"cover": ("VARCHAR(200)", "file"), "contract": ("VARCHAR(200)", "file"), "printed_in": ("VARCHAR(2)", "select")}
    | {"publisher_email": ("VARCHAR(320)", "email"), "publisher_url": ("VARCHAR(2000)", "url")}
    | {"publisher_phone": ("VARCHAR(16)", "tel")}
)


@pytest.mark.parametrize("name", TYPES)
def test_guide_table_matches_the_types(guide: dict[str, Any], name: str) -> None:
    book = guide["Book"]
    assert (str(book.__table__.columns[name].type), controls_of(book)[name].type) == TYPES[name]


def test_custom_type_needs_only_an_annotation(guide: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="an ISBN has 13 digits"):
        TypeAdapter(guide["Isbn"]).validate_python("1")
    attributes = {"__tablename__": "guide_parcel", "metadata": MetaData(naming_convention=NAMING_CONVENTION)}
    attributes |= {"__annotations__": {"weight": guide["Weight"]}, "__module__": __name__}
    metaclass: Any = type(Model)
    parcel = metaclass("Parcel", (Model,), attributes, table=True)
    assert str(parcel.metadata.tables["guide_parcel"].columns["weight"].type) == "NUMERIC(8, 3)"
    assert controls_of(parcel)["weight"].suffix == "kg"
    with pytest.raises(ValidationError, match="no more than 8 digits"):
        value_schema(parcel, "weight")(value="123456.789")


def test_text_is_limited_to_its_column(guide: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="at most 2000 characters"):
        value_schema(guide["Book"], "publisher_url")(value=f"https://example.com/{'a' * 2_000}")
