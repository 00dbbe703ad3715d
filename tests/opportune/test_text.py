"""Text types, which refuse text that databases cannot store."""

import pytest
from pydantic import TypeAdapter, ValidationError

from opportune.schemas.text import Line, Password, Text

TYPES: list[TypeAdapter[str]] = [TypeAdapter(type_) for type_ in (Text, Line, Password)]


@pytest.mark.parametrize("value", ["nul \0", "half a surrogate pair \ud800"])
@pytest.mark.parametrize("adapter", TYPES, ids=["text", "line", "password"])
def test_unstorable_text_is_refused(adapter: TypeAdapter[str], value: str) -> None:
    with pytest.raises(ValidationError):
        adapter.validate_python(value)


def test_only_passwords_keep_surrounding_white_space() -> None:
    assert [adapter.validate_python(" a \t") for adapter in TYPES] == ["a", "a", " a \t"]
