"""Fields of schemas that name rows."""

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError, create_model

from opportune.accounts.models import User
from opportune.db import MAX_ID, Reference
from opportune.db.models.references import reference_of

KINDS: list[tuple[Any, Any]] = [(int, 1), (int | None, None), (int | None, 2), (list[int], [1, MAX_ID])]


def test_a_field_takes_the_number_of_a_row_and_says_of_which_table() -> None:
    for kind, value in KINDS:
        model = create_model("Asked", one=(Annotated[kind, Reference(User)], ...))
        assert model(one=value).model_dump() == {"one": value}, kind
        assert reference_of(model.model_fields["one"]) == Reference(User), kind


@pytest.mark.parametrize("number", [0, -1, MAX_ID + 1, "words"])
@pytest.mark.parametrize("kind", [int, int | None, list[int]])
def test_numbers_that_no_row_can_have_are_refused(kind: Any, number: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[kind, Reference(User)]).validate_python([number] if kind == list[int] else number)


@pytest.mark.parametrize("kind", [Annotated[int, Reference(User)] | None, list[Annotated[int, Reference(User)]]])
def test_it_is_found_inside_another_annotation(kind: Any) -> None:
    assert reference_of(create_model("Asked", one=(kind, None)).model_fields["one"]) == Reference(User)


def test_a_plain_field_refers_to_nothing() -> None:
    assert reference_of(create_model("Asked", one=(int, ...)).model_fields["one"]) is None
