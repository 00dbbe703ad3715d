"""Schema fields that hold ids of rows."""

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError, create_model

from opportune.accounts.models import User
from opportune.db import MAX_ID, Reference
from opportune.db.models.references import reference_of

TYPES: list[tuple[Any, Any]] = [(int, 1), (int | None, None), (int | None, 2), (list[int], [1, MAX_ID])]


def test_reference_accepts_row_ids() -> None:
    for type_, value in TYPES:
        model = create_model("Sample", ids=(Annotated[type_, Reference(User)], ...))
        assert model(ids=value).model_dump() == {"ids": value}, type_
        assert reference_of(model.model_fields["ids"]) == Reference(User), type_


@pytest.mark.parametrize("number", [0, -1, MAX_ID + 1, "words"])
@pytest.mark.parametrize("type_", [int, int | None, list[int]])
def test_impossible_ids_are_refused(type_: Any, number: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[type_, Reference(User)]).validate_python([number] if type_ == list[int] else number)


@pytest.mark.parametrize("type_", [Annotated[int, Reference(User)] | None, list[Annotated[int, Reference(User)]]])
def test_nested_reference_is_found(type_: Any) -> None:
    assert reference_of(create_model("Sample", ids=(type_, None)).model_fields["ids"]) == Reference(User)


def test_plain_field_has_no_reference() -> None:
    assert reference_of(create_model("Sample", ids=(int, ...)).model_fields["ids"]) is None
