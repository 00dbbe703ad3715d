import pytest
from pydantic import TypeAdapter, ValidationError

from opportune.text import Line, Password, Text

KINDS: list[TypeAdapter[str]] = [TypeAdapter(kind) for kind in (Text, Line, Password)]


@pytest.mark.parametrize("value", ["nul \0", "half a character \ud800"])
@pytest.mark.parametrize("kind", KINDS, ids=["text", "line", "password"])
def test_what_no_database_stores_is_refused(kind: TypeAdapter[str], value: str) -> None:
    with pytest.raises(ValidationError):
        kind.validate_python(value)


def test_white_space_around_belongs_to_passwords_alone() -> None:
    assert [kind.validate_python(" a \t") for kind in KINDS] == ["a", "a", " a \t"]
